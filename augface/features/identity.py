"""Who a face looks like: dlib's face recognition network, from a registry package, so nothing is downloaded.

It is for one question: are synthetic faces those of real people more often than non-mates' faces are, of whom some look
like somebody too? The answer is that excess, with its error rates (`augface.metrics.verification`), and never a list of
persons: among many non-mates some are always alike. The space is opt-in for that reason.

He et al. 2016, "Deep Residual Learning for Image Recognition"; King 2017, "High Quality Face Recognition with Deep
Metric Learning" (dlib): trained on 3 million photos so that two of one person lie within 0.6 of each other.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from augface.arrays import Floats32, Pixels
from augface.data.crops import crop_box
from augface.features.base import Features, NetworkSpace
from augface.features.weights import Weights, WeightsFile

if TYPE_CHECKING:
    from augface.features.network import NetworkFunction

FACE = (21 / 154, 39 / 154, 133 / 154, 151 / 154)
"""Left, top, right and bottom of the face as shares of the `celeba` crop: in CelebA's aligned pictures of 178 x 218 the
square that reaches 56 pixels to each side of (89, 133)."""
MEAN = (122.782, 117.001, 104.298)


class IdentitySpace(NetworkSpace):
    """dlib's vectors of faces that are aligned as CelebA's are, whole pictures or squares of augface.

    Euclidean distances are meant. Faces that are placed otherwise in their pictures get vectors too, but worse ones.
    """

    name: ClassVar[str] = "identity"
    dimension: ClassVar[int] = 128
    batch: ClassVar[int] = 8
    resolution: ClassVar[int] = 150
    weights_file: ClassVar[WeightsFile] = WeightsFile(
        space="identity",
        name="dlib_face_recognition_resnet_model_v1.dat",
        sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        package="face-recognition-models",
        extra="identity",
    )

    @property
    def protocol(self) -> dict[str, str | int | float]:
        """Version, weights and preprocessing."""
        return {
            "space": self.name,
            "version": 1,
            "weights_sha256": self.weights.sha256,
            "resolution": self.resolution,
            "resize": "bicubic to 8 bits",
            "crop": "the square 56 pixels around (89, 133) of CelebA's 178 x 218",
        }

    def prepare(self, image: Pixels) -> Floats32:
        """Float32 (3, 150, 150), about -0.5 to 0.6: the face alone, as dlib's network takes it."""
        left, top, right, _ = crop_box("celeba", image.shape[1], image.shape[0])
        side = right - left
        box = (left + FACE[0] * side, top + FACE[1] * side, left + FACE[2] * side, top + FACE[3] * side)
        face = Image.fromarray(image).resize((self.resolution, self.resolution), Image.Resampling.BICUBIC, box)
        planes = np.asarray(face).transpose(2, 0, 1) - np.array(MEAN, dtype=np.float32)[:, None, None]
        planes /= 256
        return planes

    def forward(self, prepared: Floats32) -> Features:
        """Float32 (batch, 128)."""
        return _network(self.weights)(prepared)


@cache
def _network(weights: Weights) -> NetworkFunction:
    from augface.features.identity_network import identity_network
    from augface.features.network import network_function

    side = IdentitySpace.resolution
    return network_function(identity_network(weights.path), (IdentitySpace.batch, 3, side, side))
