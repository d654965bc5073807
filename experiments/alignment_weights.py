"""Make the weights of `augface.alignment` from MediaPipe's own wheel, and compare the networks with OpenVINO's.

    python experiments/alignment_weights.py mediapipe-0.10.14-….whl [OUT]

The wheel is only unpacked, never installed. OpenVINO reads the two tflite files, which hold numbers in half precision;
they are stored as they are, under the names of our modules. Then both networks run on the same random pictures.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import openvino
import torch
from safetensors.torch import save_file

from augface.alignment.networks import WEIGHTS, BlazeFace, FaceMesh
from augface.files import sha256_of_file

FILES = {
    "detector": "mediapipe/modules/face_detection/face_detection_short_range.tflite",
    "mesh": "mediapipe/modules/face_landmark/face_landmark.tflite",
}


def constant(output: openvino.Output) -> torch.Tensor:
    """The value of a node that depends on no input."""
    compiled = openvino.Core().compile_model(openvino.Model([output], []), "CPU")
    return torch.from_numpy(np.array(next(iter(compiled({}).values()))))


def numbers(model: openvino.Model, network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a model under the names of our network: its layers stand in the same order, branch by branch."""
    found: dict[str, list[torch.Tensor]] = {"convolution": [], "bias": [], "slope": []}
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind in ("Convolution", "GroupConvolution"):
            found["convolution"].append(constant(node.input_value(1)))
            bias = next(iter(node.output(0).get_target_inputs())).get_node()
            found["bias"].append(constant(bias.input_value(1)).flatten())
        if kind == "PRelu":
            found["slope"].append(constant(node.input_value(1)).flatten())
    state = {}
    for name, parameter in network.state_dict().items():
        kind = "bias" if name.endswith("bias") else "slope" if parameter.ndim == 1 else "convolution"
        state[name] = found[kind].pop(0).reshape(parameter.shape)
    assert not any(found.values())
    return state


def main(wheel: str, out: Path = WEIGHTS) -> None:
    state: dict[str, torch.Tensor] = {}
    models = {}
    modules = {"detector": BlazeFace(), "mesh": FaceMesh()}
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        for name, member in FILES.items():
            path = Path(archive.extract(member, folder))
            print(f"{member}  SHA-256 {sha256_of_file(path)}")
            model = openvino.Core().read_model(path)
            models[name] = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            weights = numbers(model, modules[name])
            modules[name].load_state_dict(weights)
            state |= {f"{name}.{key}": value.half().contiguous() for key, value in weights.items()}
            assert all(torch.equal(value, value.half().float()) for value in weights.values())
    save_file(state, out)
    print(f"{out}  SHA-256 {sha256_of_file(out)}, {out.stat().st_size:,} bytes")

    random = np.random.default_rng(0)
    pixels = random.random((1, 128, 128, 3)).astype(np.float32)
    theirs = {value.shape[-1]: value[0] for value in models["detector"](pixels * 2 - 1).values()}
    logits, pairs = modules["detector"](torch.from_numpy(pixels * 2 - 1).permute(0, 3, 1, 2))
    print(
        "detector, logits:", theirs[1][:3, 0], "differ by", np.abs(theirs[1][:, 0] - logits[0].detach().numpy()).max()
    )
    sizes = theirs[16].reshape(-1, 8, 2)[:, 1]
    print("detector, sizes:", sizes[:3].ravel(), "differ by", np.abs(sizes - pairs[0, :, 1].detach().numpy()).max())
    pixels = random.random((1, 192, 192, 3)).astype(np.float32)
    theirs = {value.size: value.ravel() for value in models["mesh"](pixels).values()}
    presence, landmarks = modules["mesh"](torch.from_numpy(pixels).permute(0, 3, 1, 2))
    print("mesh, presence:", theirs[1], "differs by", np.abs(theirs[1] - presence.detach().numpy()).max())
    print(
        "mesh, landmarks:",
        theirs[1404][:6],
        "differ by",
        np.abs(theirs[1404] - landmarks.detach().numpy().ravel()).max(),
    )


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
