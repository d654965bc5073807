"""A network as a plain function of arrays, on the best device that is here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from augface.arrays import Floats32
from augface.devices import compute_device

NetworkFunction = Callable[[Floats32], Floats32]


def network_function(module: nn.Module, shape: tuple[int, int, int, int]) -> NetworkFunction:
    """The module in evaluation as a function of batches of exactly `shape`, (B, 3, H, W), float32 in and out.

    A GPU is used where there is one; on a processor OpenVINO where it is installed, equal to 1e-5 and faster. Precision
    is that of float32 everywhere. The module is changed and belongs to the function from now on.
    """
    module.eval().requires_grad_(False)
    fold_batch_norms(module)
    device = compute_device()
    if device.type == "cpu" and find_spec("openvino"):
        return _by_openvino(module, shape)
    return _by_torch(module, device)


def torch_function(module: nn.Module) -> NetworkFunction:
    """The module in evaluation as a function of batches, by torch, as it is: for networks of any kind."""
    module.eval().requires_grad_(False)
    return _by_torch(module, compute_device())


def fold_batch_norms(module: nn.Module) -> None:
    """Move each batch norm that follows a convolution in its parent into that convolution: the same function, faster.

    What follows is read off the order in which the parent lists its parts, so a parent must use them in that order.
    """
    for parent in list(module.modules()):
        for (name, convolution), (norm_name, norm) in pairwise(list(parent.named_children())):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(convolution, norm))
                setattr(parent, norm_name, getattr(norm, "act", nn.Identity()))  # timm's norms hold their activation


def _by_torch(module: nn.Module, device: torch.device) -> NetworkFunction:
    network: Any = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks it

    @torch.inference_mode()
    def forward(batch: Floats32) -> Floats32:
        images = torch.from_numpy(batch).to(device).contiguous(memory_format=torch.channels_last)
        # a GPU would otherwise multiply in TF32, with three digits
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            result: Floats32 = network(images).float().cpu().numpy()
        return result

    return forward


def _by_openvino(module: nn.Module, shape: tuple[int, int, int, int]) -> NetworkFunction:
    """Images go through one by one, several at once on cores of their own: 5 % faster than all cores on one batch."""
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    exported = torch.export.export(module, (torch.zeros(1, *shape[1:]),))
    # by the frontend itself: `openvino.convert_model` does the same, but reports its use to its maker
    frontend = FrontEndManager().load_by_framework("pytorch")
    logging.disable(logging.WARNING)  # it warns of operations that these networks do not have
    try:
        decoder = TorchFXPythonDecoder.from_exported_program(exported, dynamic_shapes=False)
        converted = frontend.convert(frontend.load(decoder))
    finally:
        logging.disable(logging.NOTSET)
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "THROUGHPUT",
        "PERFORMANCE_HINT_NUM_REQUESTS": shape[0],
    }
    compiled = openvino.Core().compile_model(converted, "CPU", options)
    queue = openvino.AsyncInferQueue(compiled)
    rows = np.empty((shape[0], *compiled.output(0).shape[1:]), dtype=np.float32)

    def keep(request: Any, row: int) -> None:
        rows[row] = request.get_output_tensor(0).data[0]

    queue.set_callback(keep)

    def forward(batch: Floats32) -> Floats32:
        for row in range(len(batch)):
            queue.start_async({0: batch[row : row + 1]}, row)
        queue.wait_all()
        return rows.copy()

    return forward
