"""The two networks that find a face and its landmarks, of MediaPipe, with their own weights.

BlazeFace (Bazarevsky et al. 2019, arXiv:1907.05047, the short-range model) says where faces are; the face mesh
(Kartynnik et al. 2019, arXiv:1907.06724) where the 468 landmarks of one face are. Both are by the MediaPipe Authors,
under the Apache License 2.0; `weights/NOTICE` says where their weights come from and what was changed.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from augface.errors import DataError
from augface.files import sha256_of_file

WEIGHTS = Path(__file__).parent / "weights" / "mediapipe_face.safetensors"
SHA256 = "08f022da65ff06730994d29116e5f0c0562b03995a5a1f419013bb11c1bfc729"
"""Of the file of weights, which nothing is read from before it was compared."""
LANDMARKS = 468
MESH_SIZE = 192
"""Height and width of the picture of one face that the mesh takes, in pixels."""


class Block(nn.Module):
    """A depthwise and a pointwise convolution around which the input is passed, pooled and with channels added."""

    def __init__(self, inputs: int, outputs: int, activation: nn.Module, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.added = outputs - inputs
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.activation = activation

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride); H and W are multiples of the stride."""
        passed = functional.max_pool2d(inputs, 2) if self.stride == 2 else inputs
        passed = functional.pad(passed, (0, 0, 0, 0, 0, self.added))
        border = (0, 1, 0, 1) if self.stride == 2 else (1, 1, 1, 1)
        return torch.as_tensor(self.activation(passed + self.pointwise(self.depthwise(functional.pad(inputs, border)))))


def _blocks(*channels: int, halved: tuple[int, ...], slopes: bool) -> nn.Sequential:
    """Blocks from one number of channels to the next; those that are `halved`, by number, have a stride of 2.

    Args:
        channels: of the input, and of the output of each block.
        halved: the numbers of blocks that halve height and width.
        slopes: whether negative numbers are multiplied by a learnt slope, and not set to zero.
    """
    return nn.Sequential(
        *(
            Block(inputs, outputs, nn.PReLU(outputs) if slopes else nn.ReLU(), stride=2 if number in halved else 1)
            for number, (inputs, outputs) in enumerate(pairwise(channels))
        )
    )


class BlazeFace(nn.Module):
    """Scores, boxes and six points of faces around each place of two grids."""

    STRIDES = (8, 16)
    """Pixels from one place of a grid to the next."""
    FACES = (2, 6)
    """Faces that each place of a grid may have."""

    def __init__(self) -> None:
        super().__init__()

        fine, coarse = self.FACES
        self.stem = nn.Conv2d(3, 24, 5, 2)
        self.fine = _blocks(24, 24, 28, 32, 36, 42, 48, 56, 64, 72, 80, 88, halved=(2, 5), slopes=False)
        self.fine_scores = nn.Conv2d(88, fine, 1)
        self.coarse = _blocks(88, 96, 96, 96, 96, 96, halved=(0,), slopes=False)
        self.coarse_scores = nn.Conv2d(96, coarse, 1)
        self.fine_pairs = nn.Conv2d(88, 16 * fine, 1)
        self.coarse_pairs = nn.Conv2d(96, 16 * coarse, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Images, (N, 3, H, W) from -1 to 1, H and W multiples of 16, to logits (N, A) and pairs (N, A, 8, 2).

        The pairs are x and y in pixels of the image: the middle of the face, its width and height, and then the
        person's right eye, left eye, nose, mouth, right ear and left ear.
        """
        fine = self.fine(functional.relu(self.stem(functional.pad(images, (1, 2, 1, 2)))))
        coarse = self.coarse(fine)
        return (
            torch.cat([_rows(self.fine_scores(fine), 1), _rows(self.coarse_scores(coarse), 1)], dim=1).squeeze(2),
            torch.cat(
                [
                    _from_anchors(_rows(pairs(grid), 16), grid, stride)
                    for grid, pairs, stride in zip(
                        (fine, coarse), (self.fine_pairs, self.coarse_pairs), self.STRIDES, strict=True
                    )
                ],
                dim=1,
            ),
        )


def _rows(grid: torch.Tensor, numbers: int) -> torch.Tensor:
    """(N, faces * numbers, H, W) as (N, H * W * faces, numbers)."""
    return grid.permute(0, 2, 3, 1).reshape(len(grid), -1, numbers)


def _from_anchors(rows: torch.Tensor, grid: torch.Tensor, stride: int) -> torch.Tensor:
    """What is found relative to the middle of each place of a grid, as pairs of pixels of the image, (N, A, 8, 2)."""
    height, width = grid.shape[2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    middles = (torch.stack([x, y], dim=-1).reshape(-1, 1, 2) + 0.5) * stride
    pairs = rows.reshape(len(rows), height * width, -1, 8, 2) + middles[:, None]
    pairs[..., 1, :] -= middles  # width and height are of no place
    return pairs.reshape(len(rows), -1, 8, 2)


class FaceMesh(nn.Module):
    """The landmarks of the one face in a picture, and whether there is one."""

    def __init__(self) -> None:
        super().__init__()

        def head(depth: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(
                _blocks(*[128] * (depth + 1), halved=(0,), slopes=True),
                nn.Conv2d(128, 32, 1),
                nn.PReLU(32),
                Block(32, 32, nn.PReLU(32)),
                nn.Conv2d(32, outputs, 3),
            )

        self.stem = nn.Conv2d(3, 16, 3, 2)
        self.activation = nn.PReLU(16)
        self.trunk = _blocks(
            *(16, 16, 16, 32, 32, 32, 64, 64, 64, 128, 128, 128, 128, 128, 128), halved=(2, 5, 8, 11), slopes=True
        )
        self.presence = head(1, 1)
        self.landmarks = head(3, 3 * LANDMARKS)

    def forward(self, faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Faces, (N, 3, 192, 192) from 0 to 1, to logits of there being a face, (N,), and landmarks, (N, 468, 3).

        Landmarks are x and y in pixels of the picture, and z on about the same scale, smaller towards the camera.
        """
        features = self.trunk(self.activation(self.stem(functional.pad(faces, (0, 1, 0, 1)))))
        return self.presence(features).flatten(), self.landmarks(features).reshape(-1, LANDMARKS, 3)


@cache
def networks() -> tuple[BlazeFace, FaceMesh]:
    """Both networks with their weights, read once.

    Raises:
        DataError: the file of weights is not the one that augface came with.
    """
    from safetensors.torch import load_file

    if not WEIGHTS.is_file() or sha256_of_file(WEIGHTS) != SHA256:
        raise DataError(f"The weights {WEIGHTS} are missing or changed. Install augface again.")
    state = {name: tensor.float() for name, tensor in load_file(WEIGHTS).items()}
    detector, mesh = BlazeFace(), FaceMesh()
    for name, network in (("detector", detector), ("mesh", mesh)):
        network.load_state_dict(
            {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
        )
        network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # a third faster on CPUs
    return detector, mesh
