"""Pipelines of Hugging Face's diffusers: which are taken, how they are opened, and how they are called.

Of a folder that `save_pretrained` wrote only JSON, safetensors and vocabularies are read, and the classes that it names
must be diffusers' or transformers' own, so that nothing is downloaded, unpickled, or run that is not installed.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
import sys
import tempfile
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from augface.devices import compute_device
from augface.errors import AugfaceError, DataError, UsageError
from augface.files import sha256_of_file
from augface.generators._external import ExternalNetworkConfig, last_line, optional_package
from augface.generators.base import CHUNK, SAVED
from augface.seeds import derive_seed
from augface.text import one_line

INDEX = "model_index.json"
MEMBER = re.compile(r"\w[\w.+-]*/(?!model_index|adapter_)(\w[\w.+-]*\.(json|safetensors|model)|(merges|vocab)\.txt)")
"""The other files of a pipeline: each in the folder of its part. What would name further models is none of them."""
PICKLES = {".bin", ".ckpt", ".pt", ".pth", ".pkl"}
WEIGHTS = ".safetensors"
HALF = "fp16"
"""The variant of weights that is taken where there is no other."""
PACKAGES = ("diffusers", "transformers")
EXTRA = "diffusers"
"""What installs both."""

Use = Literal["unconditional", "classes", "text", "image-to-image", "inpainting", "instruction"]
"""What a pipeline makes faces of: noise alone, a class, a prompt, a face and a prompt, a face whose part it paints
anew, or a face and an instruction."""
GIVEN = frozenset({"prompt", "class_labels", "image", "mask_image"})
"""All that a pipeline may need and is given."""
NO_IMAGES = ("video", "frame", "audio", "control", "gligen", "original_image", "latents_std")
"""Parts of the names of what is taken by pipelines of videos and sounds, or that need pictures of another kind."""

log = logging.getLogger("augface")


class PipelineConfig(ExternalNetworkConfig):
    """Settings of a pipeline in a folder."""

    batch: int = Field(default=8, ge=1, le=CHUNK)
    """Faces made at once: what bounds the memory. Where a GPU has too little, it is halved."""
    steps: int = Field(default=0, ge=0)
    """Denoising steps; as many as the pipeline takes by itself where 0."""
    guidance: float | None = Field(default=None, ge=0)
    """How strongly faces follow the prompt or class (classifier-free guidance); the pipeline's own where not given."""
    scheduler: str = ""
    """Another scheduler of diffusers, such as DPMSolverMultistepScheduler."""
    resolution: int = Field(default=0, ge=0)
    """Height and width that the pipeline makes images in, before they are resized; its own where 0."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """What the networks compute in; float16 halves the memory of a GPU."""
    offload: bool = False
    """Whether parts wait in the main memory until they are needed, for GPUs with little of their own."""
    prompts: str = ""
    """A TOML file of words for attributes, as `prompts.toml`; that of augface where not given."""
    prompts_sha256: str = Field(default="", validate_default=True)
    """Of that file."""
    balance: tuple[str, ...] = ()
    """The attributes that prompts begin with; those to be balanced, where a job balances any."""

    @field_validator("prompts_sha256")
    @classmethod
    def _of_prompts(cls, value: str, info: ValidationInfo) -> str:
        if value or info.context == SAVED or not info.data.get("prompts"):
            return value
        place = Path(info.data["prompts"]).expanduser()
        if not place.is_file():
            raise DataError(f"There is no file {place} of prompts.")
        return sha256_of_file(place)

    def arguments(self, taken: Collection[str]) -> dict[str, Any]:
        """What a pipeline that takes arguments of these names is given of the settings."""
        settings: dict[str, Any] = {"num_inference_steps": self.steps} if self.steps else {}
        if self.guidance is not None:
            settings["guidance_scale"] = self.guidance
        if self.resolution and ("height" in taken or "image" not in taken):  # faces that are given have that size
            settings |= {"height": self.resolution, "width": self.resolution}
        return settings

    @classmethod
    def files(cls, path: Path) -> dict[str, Path]:
        """The files of the pipeline in this folder that are read.

        Raises:
            DataError: it is no such folder, or its weights are pickles.
        """
        if not (path / INDEX).is_file():
            raise DataError(
                f"{path} is no folder with a {INDEX}, as pipeline.save_pretrained writes it. Names on the Hugging Face "
                "hub are not taken; download one by: hf download NAME --local-dir FOLDER"
            )
        found = {INDEX: path / INDEX}
        for part in sorted(place for place in path.iterdir() if place.is_dir() and not place.name.startswith(".")):
            files = [file for file in sorted(part.iterdir()) if file.is_file()]
            kept = {name: file for file in files if MEMBER.fullmatch(name := f"{part.name}/{file.name}")}
            pickles = [file.name for file in files if file.suffix in PICKLES]
            if pickles and not any(name.endswith(WEIGHTS) for name in kept):
                raise DataError(
                    f"The weights in {part} are a pickle ({pickles[0]}), which runs any program when it is opened. "
                    "Save them by pipeline.save_pretrained(folder, safe_serialization=True)."
                )
            found |= _one_variant(kept)
        _check_links(path, found.values())
        return found


def _one_variant(files: Mapping[str, Path]) -> dict[str, Path]:
    """The files of a part without variants of its weights, such as `model.fp16.safetensors`, where they are twice."""
    plain = any(name.endswith(WEIGHTS) and not _variant(name) for name in files)
    return {name: file for name, file in files.items() if not (plain and name.endswith(WEIGHTS) and _variant(name))}


def _variant(name: str) -> str:
    """What stands between two points: `fp16` of `unet/model.fp16.safetensors`, nothing of `unet/model.safetensors`."""
    return name.rpartition("/")[2].removesuffix(WEIGHTS).partition(".")[2]


def _check_links(path: Path, files: Iterable[Path]) -> None:
    """Refuse links that lead out of the pipeline, or elsewhere than the hub's cache has the files of its snapshots.

    Raises:
        DataError: one of the files is another one, of which nobody said that it should be read.
    """
    folder = path.resolve()
    roots = [folder, *([folder.parent.parent / "blobs"] if folder.parent.name == "snapshots" else [])]
    for file in files:
        if not any(file.resolve().is_relative_to(root) for root in roots):
            raise DataError(f"{file} is a link that leads out of {path}. Put the file itself there, if you trust it.")


def use_of(kind: type) -> tuple[Use | None, str]:
    """What a class of pipelines can be used for, by what its `__call__` takes; where for nothing, why not."""
    taken = inspect.signature(kind.__call__).parameters
    needed = {
        name
        for name, one in taken.items()
        if one.default is one.empty and name != "self" and one.kind is one.POSITIONAL_OR_KEYWORD
    }
    if other := next((name for name in taken if any(word in name for word in NO_IMAGES)), ""):
        return None, f"takes {other}: not one face of a text"
    if more := sorted(needed - GIVEN):
        return None, f"needs {more[0]}"
    if not {"generator", "output_type"} <= taken.keys() or kind.__name__.endswith(("PriorPipeline", "Upscale")):
        return None, "makes no images of a seed"
    if {"prompt", "image", "strength"} <= taken.keys():
        return ("inpainting" if "mask_image" in taken else "image-to-image"), ""
    if {"prompt", "image", "image_guidance_scale"} <= taken.keys():
        return "instruction", ""
    if "image" in taken or "mask_image" in taken:
        return None, "takes images of another kind"
    if {"prompt", "height", "width", "num_inference_steps"} <= taken.keys():
        return "text", ""
    if "class_labels" in needed:
        return "classes", ""
    return ("unconditional", "") if "batch_size" in taken else (None, "needs more than noise or a prompt")


class Pipeline:
    """A pipeline that was opened, on the device that networks compute on."""

    def __init__(
        self, files: Mapping[str, bytes | Path], config: PipelineConfig, generator: str, *, edits: Use | None = None
    ) -> None:
        """Open the pipeline of these files.

        Args:
            files: their contents, or where they are, by the names that `PipelineConfig.files` gives them.
            config: the settings.
            generator: what needs it, for messages.
            edits: what the pipeline is to do with faces, where its networks can do more than its class.

        Raises:
            DataError: the files are no pipeline, damaged, or of classes that are not taken.
            UsageError: it cannot be used with these settings.
        """
        self.config, self.batch = config, config.batch
        self.package = optional_package("diffusers", generator, EXTRA)
        index = _json(files, INDEX, config.path)
        _check_names(files, config.path)
        self.kind = self._kind(index, generator)
        self.use, why = use_of(self.kind)
        if self.use is None:
            raise UsageError(f"{config.path}: {self.kind.__name__} {why}. docs/diffusers.md lists what is taken.")
        self.pipe = self._opened(files, index)
        if edits is not None and self.use != edits:
            self._turn_into(edits)
        self._prepare()

    def _kind(self, index: Mapping[str, Any], generator: str) -> Any:
        """The pipeline's class, where it and its parts are diffusers' and transformers' own."""
        place = self.config.path
        for key, value in index.items():
            if not isinstance(value, list) or value[:1] == [None]:
                continue
            library, name = [*value, None, None][:2]
            own = library == PACKAGES[0] or inspect.ismodule(getattr(self.package.pipelines, str(library), None))
            if not own and library not in PACKAGES:
                raise DataError(
                    f"{place}: its {key} is of {library or 'nothing'}, and not of diffusers itself or transformers. "
                    "Pipelines with code of their own are not taken."
                )
            _check_class(self.package if own else optional_package("transformers", generator, EXTRA), value, key, place)
        name = index.get("_class_name")
        kind = getattr(self.package, name, None) if isinstance(name, str) else None
        if not (inspect.isclass(kind) and issubclass(kind, self.package.DiffusionPipeline)):
            raise DataError(f"{place}: there is no pipeline {name} in diffusers {self.package.__version__}.")
        return kind

    def _opened(self, files: Mapping[str, bytes | Path], index: Mapping[str, Any]) -> Any:
        place = self.config.path
        parts = {name.partition("/")[0] for name in files}
        for key, value in index.items():
            if isinstance(value, list) and value[:1] != [None] and key not in parts:
                raise DataError(f"{place}: its {key} is missing: there is no folder {key} with files to be read.")
        weights = [name for name in files if name.endswith(WEIGHTS)]
        half = {"variant": HALF} if any(_variant(name) == HALF for name in weights) else {}
        try:
            # In a folder of its own the pipeline finds nothing but the files that were chosen and checked.
            with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]), quiet(self.package):
                for name, content in files.items():
                    member = Path(folder, name)
                    member.parent.mkdir(exist_ok=True)
                    if isinstance(content, Path):
                        member.symlink_to(content.resolve())
                    else:
                        member.write_bytes(content)
                pipe = self.kind.from_pretrained(
                    folder,
                    local_files_only=True,
                    use_safetensors=True,
                    torch_dtype=getattr(torch, self.config.dtype),
                    **half,
                )
        except Exception as error:  # whatever diffusers raises on files that are damaged or of another version
            raise DataError(f"{place} cannot be opened as a pipeline: {last_line(error)}") from error
        return pipe

    def _turn_into(self, edits: Use) -> None:
        """Let the same networks edit faces."""
        package = self.package
        autos = {
            "image-to-image": package.AutoPipelineForImage2Image,
            "inpainting": package.AutoPipelineForInpainting,
        }
        try:
            with quiet(package):
                self.pipe = autos[edits].from_pipe(self.pipe)
        except Exception as error:  # diffusers has no such pipeline of these networks
            raise UsageError(
                f"{self.config.path}: diffusers has no {edits} for {self.kind.__name__}: {last_line(error)}"
            ) from error
        self.use = edits

    def _prepare(self) -> None:
        config, device = self.config, compute_device()
        if config.scheduler:
            self._take_scheduler(config.scheduler)
        self.pipe.set_progress_bar_config(disable=True)
        if config.offload and device.type != "cuda":
            raise UsageError("The setting offload spares the memory of a GPU, and there is none here.")
        with quiet(self.package):
            if config.offload:
                self.pipe.enable_model_cpu_offload(device=device)
            else:
                self.pipe.to(device)

    def _take_scheduler(self, name: str) -> None:
        now = self.pipe.scheduler
        compatible = {kind.__name__ for kind in getattr(now, "compatibles", [])} | {type(now).__name__}
        if name not in compatible:
            raise UsageError(
                f"{self.config.path}: {name} cannot take the place of {type(now).__name__}. Those that can: "
                f"{', '.join(sorted(compatible))}."
            )
        self.pipe.scheduler = getattr(self.package, name).from_config(now.config)

    @property
    def side(self) -> int:
        """Height and width of the pipeline's images."""
        network: Any = getattr(self.pipe, "unet", None) or getattr(self.pipe, "transformer", None)
        size = getattr(self.pipe, "default_sample_size", None) or getattr(network.config, "sample_size", None)
        size = size if isinstance(size, int) else size[0] if size else 64
        return self.config.resolution or size * int(getattr(self.pipe, "vae_scale_factor", 1))

    @property
    def taken(self) -> frozenset[str]:
        """The names of what the pipeline's `__call__` takes."""
        return frozenset(inspect.signature(self.pipe.__call__).parameters)

    def images(self, seeds: Sequence[int], **given: Sequence[Any]) -> tuple[Tensor, list[bool]]:
        """Images (N, 3, H, W) from 0 to 1 of N seeds, and which of them the pipeline's safety checker blanked.

        They are made in batches of `batch`, which is halved for good where a GPU has too little memory.

        Args:
            seeds: of the noise of each image, so that no image depends on the others.
            given: what the pipeline is given, a sequence of N values for each name.
        """
        images: list[Tensor] = []
        blanked: list[bool] = []
        while len(blanked) < len(seeds):
            rows = slice(len(blanked), len(blanked) + self.batch)
            try:
                made, blank = self._called(seeds[rows], {name: values[rows] for name, values in given.items()})
            except torch.OutOfMemoryError as error:
                if self.batch == 1:
                    raise UsageError(
                        f"The pipeline {self.config.path} does not fit into the memory of the GPU, even for one face. "
                        "Try --set dtype=float16, --set offload=true or a smaller --set resolution."
                    ) from error
                self.batch //= 2
                torch.cuda.empty_cache()
                log.warning(f"The GPU has too little memory: {self.batch} faces are made at once from now on.")
                continue
            images.append(made)
            blanked += blank
        return torch.cat(images), blanked

    def _called(self, seeds: Sequence[int], given: Mapping[str, Sequence[Any]]) -> tuple[Tensor, list[bool]]:
        config = self.config
        settings = config.arguments(self.taken)
        if self.use == "unconditional":
            settings["batch_size"] = len(seeds)
        if refused := sorted(settings.keys() - self.taken):
            raise UsageError(
                f"{config.path}: {type(self.pipe).__name__} takes no {refused[0]}; leave that setting out."
            )
        # On the processor, so that a seed means the same noise on all devices.
        random = [torch.Generator().manual_seed(seed) for seed in seeds]
        try:
            with torch.random.fork_rng(devices=[]), torch.no_grad(), quiet(self.package):
                torch.manual_seed(derive_seed(seeds[0], "inside"))  # for a pipeline that draws noise of its own
                arguments = {name: list(values) for name, values in given.items()}
                made = self.pipe(**arguments, **settings, generator=random, output_type="np")
                images = torch.as_tensor(made.images).float()
        except (AugfaceError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever a pipeline raises
            raise UsageError(f"The pipeline {config.path} fails: {last_line(error)}") from error
        if images.ndim == 4:
            images = images.permute(0, 3, 1, 2)
        blanked = getattr(made, "nsfw_content_detected", None) or [False] * len(seeds)
        return images, [bool(one) for one in blanked]


def licence_of(path: Path) -> str:
    """The licence that a pipeline's model card, README.md, states in its front matter; else that none is stated."""
    try:
        text = (path / "README.md").read_text(encoding="utf-8", errors="replace")[:100_000]
    except OSError:
        return "not stated"
    front = text.partition("---")[2].partition("\n---")[0]
    found = re.search(r"^license(?:_name)?:[ \t]*([^\s#].*)$", front, re.MULTILINE)
    return one_line(found[1].strip("\"' "))[:100] if found else "not stated"


def _json(files: Mapping[str, bytes | Path], name: str, place: str) -> dict[str, Any]:
    try:
        content = files[name]
        text = content.read_bytes() if isinstance(content, Path) else content
        return {str(key): value for key, value in json.loads(text).items()}
    except KeyError as error:
        raise DataError(f"{place} holds no {name}.") from error
    except (ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{place}/{name} is not that of a pipeline: {error}.") from error


def _check_names(files: Mapping[str, bytes | Path], place: str) -> None:
    """Refuse files that are none of a pipeline and its parts, by their names and by what others call them."""
    for name in files:
        if name != INDEX and not MEMBER.fullmatch(name):
            raise DataError(f"{place} holds {name!r}, which is no file of a pipeline. Nothing was read.")
        if name.endswith("config.json") and "auto_map" in _json(files, name, place):
            raise DataError(f"{place}/{name} names code of its own (auto_map), which is not run.")
        if name.endswith(".index.json"):  # which names the files that weights are spread over
            part = name.partition("/")[0]
            shards = _json(files, name, place).get("weight_map")
            if not isinstance(shards, dict) or not {f"{part}/{shard}" for shard in shards.values()} <= files.keys():
                raise DataError(f"{place}/{name} names files that are not there.")


def _check_class(package: Any, value: Sequence[Any], key: str, place: str) -> None:
    """Refuse a part of a class that is not there, or is no network, tokenizer, scheduler or processor."""
    library, name = [*value, None, None][:2]
    owner = package if library in PACKAGES else getattr(package.pipelines, library)
    found = getattr(owner, name, None) if isinstance(name, str) and not name.startswith("_") else None
    if not (inspect.isclass(found) and hasattr(found, "from_pretrained") and found.__module__.startswith(PACKAGES)):
        version = f"{package.__name__} {package.__version__}"
        raise DataError(f"{place}: its {key} is a {name}, which {version} does not have.")
    if ".models.auto." in found.__module__ or found.__name__.endswith("Pipeline"):
        raise DataError(f"{place}: its {key} is of the class {name}, which may stand for any. It must be named.")


@contextmanager
def quiet(package: Any) -> Iterator[None]:
    """Without the progress bars of packages, and what they say about themselves and about prompts that are cut off."""
    loaded = sys.modules.get("transformers")
    talking = [package.utils.logging, *([loaded.utils.logging] if loaded is not None else [])]
    before = [(module.is_progress_bar_enabled(), module.get_verbosity()) for module in talking]
    for module in talking:
        module.disable_progress_bar()
        module.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for module, (shown, verbosity) in zip(talking, before, strict=True):
            module.set_verbosity(verbosity)
            if shown:
                module.enable_progress_bar()
