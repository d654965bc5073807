"""What a TorchScript file may hold: checked before torch opens it, and again on the program that it has become.

A TorchScript file is a program. Opening it compiles all of it, and runs what stands in `__setstate__`, in default
values and in constants; everything else runs when faces are made. So a file is read as the zip that it must be, what
would run while it is opened is refused, the members that were looked at are packed anew, and only these bytes are
opened. Of the program that is then there, every operator must be one that computes: those that touch files, the
terminal, processes or the network are not among them, whatever they are called. It is a guard and no sandbox: a
program may still take all memory, or never end.
"""

from __future__ import annotations

import ast
import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

from augface.errors import DataError

NEEDED = re.compile(r"version|byteorder|data\.pkl|constants\.pkl|(data|constants)/\d+|code/([\w.-]+/)*[\w.-]+\.py")
"""The members that torch needs; what else there may be (sources for messages, traced inputs, notes) is left out."""
PACKED = 64_000_000
"""Bytes that all compressed members may have once unpacked. They are code; weights are never compressed."""
PLAIN_TEXT = re.compile(rb"[\t\n\r\x20-\x7e]*")
RUN_WHEN_OPENED = re.compile(rb"__setstate__|__forward_hooks__|__forward_pre_hooks__|torch\s*[.\n]\s*classes\s*[.\n]")
"""Names that make torch run code while it opens a file, or around `forward`. They cannot be spelt otherwise."""
LITERALS = ("float", "torch.device")
"""What default values and constants may call: as in `float("inf")`."""

REMEDY = "Save the network by torch.jit.script(network).save(path), or by torch.jit.trace."


def repacked(path: str, content: bytes) -> bytes:
    """The members of a TorchScript file that torch needs and that were checked, as a new zip.

    Raises:
        DataError: it is no TorchScript, or would run something while it is opened.
    """
    try:
        members = _members(content)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as error:
        if content.startswith(b"\x80"):
            raise DataError(f"{path} is a pickle, which runs any program when it is opened. {REMEDY}") from error
        raise DataError(f"{path} is no TorchScript: {error}. {REMEDY}") from error
    code = {name: text for name, text in members.items() if name.startswith("code/")}
    if not code:
        pickled = "data.pkl" in members
        what = "a pickle, which runs any program when it is opened" if pickled else "a zip of something else"
        raise DataError(f"{path} is no TorchScript but {what}. {REMEDY}")
    for name, text in members.items():
        if name in code or name.endswith(".pkl"):
            _check_opening(path, name, text, is_code=name in code)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), text)
    return packed.getvalue()


def check_operators(path: str, network: Any) -> None:
    """Refuse an opened network whose `forward`, with all that it calls, does more than compute.

    Raises:
        DataError: it uses operators that are not in `OPERATORS`.
    """
    if unknown := sorted(set(_operators(network.inlined_graph)) - OPERATORS):
        shown = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
        raise DataError(
            f"{path} does more than compute images: it uses {shown}, which is not among the operators that are let "
            "run. Leave it out of the network, or export the network to ONNX."
        )


def _members(content: bytes) -> dict[str, bytes]:
    """The needed members by their names below the archive's own folder.

    Raises:
        ValueError, zipfile.BadZipFile: the zip is broken, or not one as torch writes them.
    """
    if not content.startswith(b"PK\x03\x04"):
        raise ValueError("it does not begin as a zip")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        if not infos or min(info.header_offset for info in infos) != 0:
            raise ValueError("it does not begin as a zip")
        if sum(info.file_size for info in infos if info.compress_type != zipfile.ZIP_STORED) > PACKED:
            raise ValueError(f"its code unpacks to more than {PACKED // 1_000_000} MB")
        if sum(info.file_size for info in infos) > len(content) + PACKED:
            raise ValueError("its members overlap")
        members: dict[str, bytes] = {}
        for info in infos:
            _, _, name = info.filename.partition("/")
            if not NEEDED.fullmatch(name):
                continue
            if name in members:
                raise ValueError(f"it holds {name} twice")
            members[name] = archive.read(info)
    return members


def _check_opening(path: str, name: str, text: bytes, *, is_code: bool) -> None:
    """Refuse what would run while torch opens this member."""
    found: str | None = None
    if match := RUN_WHEN_OPENED.search(text):
        found = match[0].decode()
    elif is_code:
        try:
            found = _called_when_opened(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise DataError(f"{path} is no TorchScript: its {name} cannot be understood. {REMEDY}") from error
    if found is not None:
        raise DataError(f"{path} runs a program when it is opened ({found} in {name}), and is not opened.")


def _called_when_opened(text: bytes) -> str | None:
    """A call that stands outside the bodies of functions; None where there is none."""
    if not PLAIN_TEXT.fullmatch(text):
        raise ValueError("not plain text")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes in strings
        tree = ast.parse(text)
    for expression in _outside_bodies(tree):
        for node in ast.walk(expression):
            if isinstance(node, ast.Call) and ast.unparse(node.func) not in LITERALS:
                return ast.unparse(node)
    return None


def _outside_bodies(node: ast.AST) -> Iterator[ast.AST]:
    """Everything in a module or class but the bodies of functions, whose default values count."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child.args
            yield from child.decorator_list
            for inner in ast.walk(child):
                if inner is not child and isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    raise ValueError("a definition inside a function")
        elif isinstance(child, ast.ClassDef):
            yield from child.decorator_list
            yield from child.bases
            yield from _outside_bodies(child)
        elif isinstance(child, ast.stmt):
            yield child


def _operators(graph: Any) -> Iterator[str]:
    for node in graph.nodes():
        yield node.kind()
        for block in node.blocks():
            yield from _operators(block)


_CONTROL = """
Constant DictConstruct DictIndex EnumName EnumValue GetAttr If ListConstruct ListUnpack Loop NumToTensor
RaiseException SetAttr StringIndex TupleConstruct TupleIndex TupleSlice TupleUnpack Uninitialized abs data device
dtype is_cpu is_cuda is_meta is_mkldnn is_mps is_nested is_quantized is_sparse is_xpu isinstance itemsize layout max
min name nbytes rangelist requires_grad shape tolist type unchecked_cast unchecked_unwrap_optional
"""
_COMPUTING = """
Bool Complex ComplexImplicit Float FloatImplicit Int IntImplicit ScalarImplicit __and__ __contains__ __derive_index
__getitem__ __iand__ __ilshift__ __interpolate __ior__ __irshift__ __is__ __isnot__ __ixor__ __lshift__ __not__ __or__
__range_length __round_to_zero_floordiv __rshift__ __upsample __upsample_bilinear __upsample_nearest __xor__
_cast_Double _cast_Float _cast_Half _cast_Int _cast_Long _conj _convolution _fft_c2c _fft_c2r _fft_r2c _log_softmax
_native_multi_head_attention _nested_tensor_from_mask _nested_tensor_from_mask_left_aligned
_scaled_dot_product_attention_math _scaled_dot_product_flash_attention_for_cpu _set_item _shape_as_tensor _softmax
_transformer_encoder_layer_fwd _unsafe_view _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_lanczos2d_aa
_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d _weight_norm _weight_norm_interface abs
abs_ absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
adaptive_max_pool2d add add_ addbmm addcdiv addcdiv_ addcmul addcmul_ addmm addmv addr adjoint affine_grid_generator
alias all alpha_dropout alpha_dropout_ amax amin aminmax angle any append arange argmax argmin argsort as_strided
as_tensor asin asinh atan atan2 atanh atleast_1d atleast_2d atleast_3d avg_pool1d avg_pool2d avg_pool3d baddbmm
batch_norm bernoulli bernoulli_ bilinear binary_cross_entropy_with_logits bincount bitwise_and bitwise_not bitwise_or
bitwise_xor blackman_window bmm broadcast_tensors broadcast_to bucketize cartesian_prod cat cdist ceil ceil_ celu
celu_ channel_shuffle chunk clamp clamp_ clamp_max clamp_max_ clamp_min clamp_min_ clear clip clip_ clone col2im
column_stack combinations complex concat concatenate conj conj_physical constant_pad_nd contiguous conv1d conv2d
conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution copy copy_ copysign cos cos_ cosh
cosine_similarity count_nonzero cov cross cudnn_is_acceptable cummax cummin cumprod cumsum deg2rad degrees det detach
detach_ diag diag_embed diagflat diagonal dict diff digamma dim dist div div_ divide divide_ divmod dot dropout
dropout_ dsplit dstack einsum elu elu_ embedding embedding_bag empty empty_like endswith eq erf erf_ erfc erfinv exp
exp2 exp_ expand expand_as expm1 extend eye fabs feature_alpha_dropout feature_alpha_dropout_ feature_dropout fft_fft
fft_fft2 fft_fftfreq fft_fftn fft_fftshift fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_irfft fft_irfft2 fft_irfftn
fft_rfft fft_rfft2 fft_rfftfreq fft_rfftn fill fill_ flatten flip fliplr flipud float_power floor floor_ floor_divide
floor_divide_ floordiv fmax fmin fmod format frac fractional_max_pool2d full full_like gather gcd ge gelu gelu_
geometric_ get glu grid_sampler grid_sampler_2d grid_sampler_3d group_norm gru gru_cell gt hamming_window hann_window
hardshrink hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh hardtanh_ heaviside hsplit hstack huber_loss hypot
im2col imag index index_add index_add_ index_copy index_copy_ index_fill index_fill_ index_put index_put_ index_select
inner insert instance_norm inverse is_autocast_cpu_enabled is_autocast_enabled is_complex is_contiguous
is_floating_point is_grad_enabled is_inference is_nonzero is_signed isclose isfinite isinf isnan isneginf isposinf
isreal item items kaiser_window keys kron kthvalue l1_loss layer_norm le leaky_relu leaky_relu_ len lerp lerp_ lgamma
linalg_cholesky linalg_cross linalg_det linalg_eigh linalg_inv linalg_matmul linalg_matrix_norm linalg_norm
linalg_pinv linalg_qr linalg_solve linalg_svd linalg_vector_norm linear linspace list log log10 log1p log2 log_
log_sigmoid log_softmax logaddexp logaddexp2 logcumsumexp logical_and logical_not logical_or logical_xor logit
logspace logsumexp lower lstm lstm_cell lt mT masked_fill masked_fill_ masked_scatter masked_select matmul matrix_exp
max max_pool1d max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices
max_unpool2d maximum mean median meshgrid min minimum mish mish_ mm mode moveaxis movedim mse_loss mul mul_
multinomial multiply multiply_ mv nan_to_num nan_to_num_ nanmean nanmedian nansum narrow native_batch_norm
native_group_norm native_layer_norm ne neg neg_ negative new_empty new_full new_ones new_zeros nonzero norm
norm_except_dim normal normal_ numel one_hot ones ones_like ord outer pad pairwise_distance percentFormat permute
pixel_shuffle pixel_unshuffle polar pop pow pow_ prelu prod quantile rad2deg radians rand rand_like randint
randint_like randn randn_like randperm range real reciprocal reciprocal_ reflection_pad1d reflection_pad2d
reflection_pad3d relu relu6 relu6_ relu_ remainder remainder_ remove renorm repeat repeat_interleave replication_pad1d
replication_pad2d replication_pad3d requires_grad_ reshape reshape_as resolve_conj resolve_neg reverse rms_norm
rnn_relu rnn_tanh roll rot90 round round_ row_stack rrelu rrelu_ rsqrt rsqrt_ rsub scalar_tensor
scaled_dot_product_attention scatter scatter_ scatter_add scatter_add_ scatter_reduce searchsorted select
select_scatter selu selu_ sgn sigmoid sigmoid_ sign sign_ silu silu_ sin sin_ sinc sinh size slice slice_scatter
smooth_l1_loss softmax softplus softshrink sort sorted split split_with_sizes sqrt sqrt_ square square_ squeeze
squeeze_ stack startswith std std_mean str stride strip sub sub_ subtract subtract_ sum sum_to_size swapaxes swapdims
t t_ take take_along_dim tan tanh tanh_ tensor tensor_split tensordot threshold threshold_ tile to to_padded_tensor
topk trace transpose transpose_ trapezoid tril tril_ tril_indices triu triu_ triu_indices true_divide true_divide_
trunc trunc_ type_as unbind unflatten unfold uniform uniform_ unique_consecutive unsafe_chunk unsafe_split unsqueeze
unsqueeze_ update upper upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d
upsample_nearest3d upsample_trilinear3d values vander var var_mean vdot view view_as view_as_complex view_as_real
vsplit vstack warn where xlogy zero_ zeros zeros_like
"""
OPERATORS = frozenset(
    [*(f"prim::{name}" for name in _CONTROL.split()), *(f"aten::{name}" for name in _COMPUTING.split())]
)
"""Operators that a network may use: control, arithmetic, tensors."""
