"""What a generator is, and the check that every one must pass: built in or of another package."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Self, TypeVar, get_origin

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from safetensors.numpy import load_file, save

from augface.arrays import Floats32, Pixels
from augface.data.dataset import FaceDataset, concatenate, rows_with
from augface.data.groups import Subgroup
from augface.errors import AugfaceError, DataError, UnknownNameError, UsageError, require, spelled
from augface.files import atomic_path
from augface.processes import spread
from augface.seeds import random_generator
from augface.text import counted

if TYPE_CHECKING:
    from augface.classifiers.attributes import AttributeClassifier
    from augface.generators._calibration import Calibration
    from augface.generators._codes import Codes
    from augface.generators._networks import Networks

CHUNK = 256
"""Faces generated at once. Each chunk has its own random stream, so a long run begins with the faces of a short one."""

CAPABILITIES = frozenset({"conditional", "trainable", "latent", "copies", "composes", "edits"})

SAVED = "saved"
"""The context in which settings are read that somebody's saved generator has: nothing that they name is looked up."""

Arrays = dict[str, np.ndarray[Any, Any]]
Plan = tuple[pd.DataFrame, pd.DataFrame, list[str]]
"""Labels, factors and names of faces that are to be made."""
Result = TypeVar("Result")


class GeneratorConfig(BaseModel):
    """Settings of a generator; a subclass adds its own. Unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _listed(cls, value: Any, info: ValidationInfo) -> Any:
        """Where several values are taken, one alone does too, and a text with commas between them."""
        field = cls.model_fields[str(info.field_name)]
        if get_origin(field.annotation) is not tuple or isinstance(value, tuple | list):
            return value
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else [value]


class Generator(ABC):
    """Makes faces. A subclass names itself, its settings and its capabilities, and fills in four methods.

    Capabilities: `conditional` (it can be requested attributes, those in `conditionable`), `trainable` (fit takes its
    whole budget), `latent` (it generates faces from noise, which can be held, scaled and mixed: a `LatentGenerator`),
    `copies` (it repeats training faces or parts of them, and says so), `composes` (it can be requested combinations of
    attributes that no training face has, as long as each is there in some face), `edits` (it changes attributes of
    faces and photos by strength, as those that are `latent` do, but holds no noise).
    """

    name: ClassVar[str]
    capabilities: ClassVar[frozenset[str]] = frozenset()
    source: ClassVar[str] = "synthetic"
    """What its faces are, as data sets and files say it: `synthetic`, `resampled` (real ones over again),
    `composed` (of parts of real ones) or `edited` (real ones that a model changed)."""
    Config: ClassVar[type[GeneratorConfig]] = GeneratorConfig

    def __init__(self, config: GeneratorConfig) -> None:
        self.config = config
        self.labels: pd.DataFrame | None = None
        """The attributes of the training faces, nullable boolean: what unnamed attributes are drawn from."""
        self.calibration: Calibration | None = None
        """What edits take; see `calibrate`. It is kept apart from the generator, as it depends on the faces."""

    def __repr__(self) -> str:
        changed = self.config.model_dump(mode="json", exclude_defaults=True)
        settings = [f"{name}={value!r}" for name, value in changed.items()]
        learnt = "not fitted" if self.labels is None else f"fitted to {counted(len(self.labels), 'face')}"
        return f"Generator({', '.join([repr(self.name), *settings])}; {learnt})"

    def _repr_html_(self) -> str:
        from augface.notebooks import generator_card

        return generator_card(self).html()

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, context: str | None = None) -> Self:
        """A generator with these settings; the others keep their defaults. `context` may be `SAVED`."""
        for key in config:
            if key not in cls.Config.model_fields:
                raise UnknownNameError(f"setting of the {cls.name} generator", key, cls.Config.model_fields)
        try:
            return cls(cls.Config.model_validate(dict(config), context=context))
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"Setting {first['loc'][0]} of the {cls.name} generator: {first['msg']}.") from error

    @property
    def conditionable(self) -> frozenset[str]:
        """The attributes that faces can be requested: all those of the training faces, or a part, or none."""
        if self.labels is None or "conditional" not in self.capabilities:
            return frozenset()
        return frozenset(map(str, self.labels.columns))

    @property
    def editable(self) -> frozenset[str]:
        """The attributes that can be changed in a face, all else held; see `request`."""
        return self.conditionable if "latent" in self.capabilities else frozenset()

    def available(self, where: Mapping[str, bool] | None = None) -> int:
        """How many faces with these attributes there are to draw; `sys.maxsize` where there is no end of them."""
        return sys.maxsize

    @property
    def base(self) -> dict[str, str]:
        """The pretrained model that its faces are from (`name`, `sha256`, `licence`, …), which knows of other faces
        than those it was fitted to; empty where it has learnt from these alone."""
        return {}

    def prepared(self, data: FaceDataset) -> FaceDataset:
        """The data with whatever the settings add to their labels; nothing, unless a generator says otherwise."""
        return data

    @abstractmethod
    def fit(
        self,
        data: FaceDataset,
        *,
        budget: str = "5m",
        run_dir: str | Path | None = None,
        resume: bool = False,
        seed: int = 0,
    ) -> None:
        """Learn from `data`, the train split alone.

        Args:
            data: the faces to learn from.
            budget: how long: time (`30s`, `10m`, `2h`) or images (`200k`).
            run_dir: where logs, previews and checkpoints go; none are written without it.
            resume: go on from the last checkpoint in `run_dir`.
            seed: of the whole training.
        """

    @abstractmethod
    def _generate(self, labels: pd.DataFrame, seed: int, chunk: int) -> Pixels:
        """Faces for these attribute rows (at most `CHUNK`), uint8 (N, H, W, 3), from the chunk's own random stream.

        The index of `labels` says which training faces the rows are of.
        """

    @abstractmethod
    def _arrays(self) -> Arrays:
        """Everything learnt, as named arrays."""

    @abstractmethod
    def _restore(self, arrays: Arrays) -> None:
        """Take back what `_arrays` gave."""

    def sample(
        self,
        n: int,
        *,
        where: Mapping[str, bool] | None = None,
        seed: int = 0,
        psi: float = 1.0,
        like: FaceDataset | None = None,
    ) -> FaceDataset:
        """Make `n` faces.

        Args:
            n: how many.
            where: the attributes requested; the others follow the joint distribution of the training faces that have
                these. A generator that is not conditional can only be requested nothing.
            seed: the same seed gives the same faces.
            psi: what the noise is multiplied by: 1 changes nothing; less gives faces that are more alike and more
                typical, as the truncation of StyleGAN (Karras et al. 2019, arXiv:1812.04948, appendix B, here of the
                noise itself, whose mean is 0); 0 gives one face for each combination of attributes.
            like: faces that `sample` gave: the first `n` of them are made again, of the same noise (times `psi`), with
                the same attributes but for those that `where` names, in any combination. `seed` is of no matter then.

        Returns:
            The faces; `attributes` are those requested, missing where they are not conditionable; `factors`
            give each face's seed and number, and its psi where the generator is `latent`.

        Raises:
            UsageError: nothing was learnt yet, or what is requested cannot be made, or not so often; `psi` or `like` of
                a generator that is not `latent`.
        """
        if n < 1:
            raise UsageError(f"The number of faces to make must be at least 1, not {n}.")
        parts = self.iter_samples(n, where=where, seed=seed, psi=psi, like=like)
        return concatenate(list(parts), spec=self.name)

    def iter_samples(
        self,
        n: int,
        *,
        where: Mapping[str, bool] | None = None,
        seed: int = 0,
        psi: float = 1.0,
        like: FaceDataset | None = None,
    ) -> Iterator[FaceDataset]:
        """The faces of `sample`, in sets of at most `CHUNK`, for more than fit into memory."""
        for faces, _ in self.map_samples(_nothing, n, where=where, seed=seed, psi=psi, like=like):
            yield faces

    def map_samples(
        self,
        work: Callable[[FaceDataset], Result],
        n: int,
        *,
        where: Mapping[str, bool] | None = None,
        seed: int = 0,
        psi: float = 1.0,
        like: FaceDataset | None = None,
    ) -> Iterator[tuple[FaceDataset, Result]]:
        """The sets of `iter_samples`, each with what `work` gives for it, in whichever process of the job made it."""
        plans = self._plans(n, self._spelled(where), seed, psi, like)
        yield from spread(_Making(self, work), plans)

    def _plans(
        self, n: int, where: Mapping[str, bool], seed: int, psi: float, like: FaceDataset | None
    ) -> Iterator[Plan]:
        """What is to be made, in parts of at most `CHUNK`."""
        if psi != 1 or like is not None:
            self._refuse_steering()
        start = 0
        for labels in self._label_chunks(n, where, seed):
            numbers = np.arange(start, start + len(labels))
            factors = pd.DataFrame({"seed": seed, "number": numbers})
            yield labels, factors, [f"{number:06d}.png" for number in numbers]
            start += len(labels)

    def _make(self, labels: pd.DataFrame, factors: pd.DataFrame) -> Pixels:
        """The faces of a plan, uint8 (N, H, W, 3)."""
        return self._generate(labels, int(factors["seed"].iloc[0]), int(factors["number"].iloc[0]) // CHUNK)

    def interpolate(self, first: FaceDataset, second: FaceDataset, steps: int) -> FaceDataset:
        """Faces on the way from each face of one set to that of another; what is between them, and morphs.

        Noise goes along the sphere, attributes go straight.

        Args:
            first: N faces that `sample` gave.
            second: N others, one for each; they may be the same faces with other attributes.
            steps: how many faces each way has, 2 or more; its two ends are the two faces.

        Returns:
            N times `steps` faces, way after way. Attributes that the ends have not in common are missing between them;
            `factors` give the seed, number and psi of both ends, and the `share` of the way from 0 to 1.

        Raises:
            UsageError: the generator is not `latent`, or the sets are not of `sample`, or not equal in number.
        """
        self._refuse_steering()

    def realness(self, images: Pixels) -> Floats32 | None:
        """(N,) how real the generator's own discriminator takes faces for; None where it has none.

        Args:
            images: uint8 (N, H, W, 3), of the generator's size.
        """
        return None

    def codes(self, faces: FaceDataset, *, steps: int | None = None) -> Codes:
        """The noise and conditions that this generator makes faces of, to be varied, edited and rendered.

        Of faces that `sample` gave they are known. In others the encoder finds them, and the generator is tuned to each
        face, so that it shows that very person; the codes of a photo are biometric data.

        Args:
            faces: of any source, of the generator's size.
            steps: of the tuning; 0 leaves it out. `STEPS` of `augface.generators._inversion` where not given.

        Raises:
            UsageError: the generator cannot edit faces, or was saved without its encoder.
            DataError: some pictures are no faces as the generator knows them; says which.
        """
        self._refuse_edits()

    def request(self, codes: Codes, where: Mapping[str, bool]) -> Codes:
        """The same codes with some attributes requested, as `sample` requests them.

        Raises:
            UsageError: the generator cannot edit faces, or these attributes cannot be requested.
        """
        self._refuse_edits()

    def render(self, codes: Codes) -> FaceDataset:
        """The faces of N codes; each is made by itself, and the same codes give the same bits.

        `factors` say of each face whether it is `of_photo`.

        Raises:
            UsageError: the generator cannot edit faces, or the codes are of another one.
        """
        self._refuse_edits()

    def calibrate(
        self,
        data: FaceDataset,
        *,
        attributes: Collection[str] | None = None,
        classifier: AttributeClassifier | None = None,
        seed: int = 0,
    ) -> None:
        """Measure, on training faces, what conditions have to be for an edit of a given strength; see `edit`.

        A classifier learns from four fifths of the people of `data` how sure one can be of each attribute; the
        generator never saw it.

        Args:
            data: labelled faces, such as those that the generator learnt from.
            attributes: those to measure; all where not given.
            classifier: one that learnt already, from other people than those of `data`.
            seed: of the classifier, and of the faces looked at.
        """
        self._refuse_edits()

    def edit(self, codes: Codes, strengths: Mapping[str, float]) -> Codes:
        """The same faces with more or less of some attributes.

        Args:
            codes: of N faces.
            strengths: of each attribute that is to change. 1 is as much more as real faces with the attribute differ
                from those without, in the mean log-odds of a classifier; 0 changes nothing. What would need conditions
                beyond those measured as safe is cut there, with a warning.

        Raises:
            UsageError: the generator cannot edit faces or not calibrated, or the codes are of another one.
            UnknownNameError: no such attribute.
        """
        self._refuse_edits()

    def networks(self) -> Networks:
        """The networks themselves, to be looked into; see `augface.inspect`.

        Raises:
            UsageError: there are none whose layers augface knows.
        """
        raise UsageError(
            f"The {self.name} generator cannot be inspected: it has no network whose layers augface knows. Inspect one "
            "that augface trains from noise (trainable and latent in `augface list generators`)."
        )

    def _refuse_steering(self) -> NoReturn:
        raise UsageError(
            f"The {self.name} generator has no noise that could be held, scaled or mixed, so it cannot be steered by "
            "psi, like or interpolate. Those that can are called latent by `augface list generators`."
        )

    def _refuse_edits(self) -> NoReturn:
        raise UsageError(
            f"The {self.name} generator cannot edit faces: it has no codes of them. Those that can are called latent "
            "or edits by `augface list generators`."
        )

    def _faces(self, pixels: Pixels, labels: pd.DataFrame, names: Sequence[str], factors: pd.DataFrame) -> FaceDataset:
        """Synthetic faces as a data set; labels that could not be requested are not known."""
        known = np.broadcast_to(labels.columns.isin(list(self.conditionable)), labels.shape)
        return FaceDataset.from_arrays(
            pixels, labels.where(known), names=names, factors=factors, spec=self.name, content_hash=""
        )

    def _label_chunks(self, n: int, where: Mapping[str, bool], seed: int) -> Iterator[pd.DataFrame]:
        """Attribute rows for `n` faces, drawn from the training faces that match `where`, a chunk at a time."""
        table = self._matching_labels(where)
        if not len(table):
            raise UsageError(
                f"No training face has {Subgroup(where).label}, so there is nothing to draw its other attributes from."
            )
        for chunk, start in enumerate(range(0, n, CHUNK)):
            rows = random_generator(seed, "labels", chunk).integers(0, len(table), CHUNK)
            yield table.iloc[rows[: min(CHUNK, n - start)]]

    def _spelled(self, where: Mapping[str, bool] | None) -> dict[str, bool]:
        """What is requested, with the attributes' names as the training faces have them; unknown ones as they are."""
        known = [] if self.labels is None else [str(name) for name in self.labels.columns]
        folded = Counter(name.casefold() for name in [*known, *(where or {})])
        return {
            spelled("attribute", name, known) if name in known or folded[name.casefold()] == 2 else name: value
            for name, value in (where or {}).items()
        }

    def _matching_labels(self, where: Mapping[str, bool]) -> pd.DataFrame:
        labels = self._check_conditionable(where)
        return labels[rows_with(labels, where.items())]

    def _check_conditionable(self, where: Mapping[str, bool]) -> pd.DataFrame:
        """Refuse attributes that cannot be requested; return those of the training faces."""
        if self.labels is None:
            raise UsageError(f"The {self.name} generator is not fitted yet: call fit or load first.")
        if where and "conditional" in self.capabilities and self.labels.shape[1] == 0:
            raise UsageError(f"The {self.name} generator learnt from faces without labels: none can be requested.")
        if where and not self.conditionable:
            raise UsageError(
                f"The {self.name} generator is not conditional, so attributes cannot be requested. Use a conditional "
                "one (augface list generators), or rebalance, which picks the wanted faces out of its samples."
            )
        for attribute in where:
            if attribute not in self.labels:
                raise UnknownNameError("attribute", attribute, self.labels.columns)
            if attribute not in self.conditionable:
                raise UsageError(
                    f"The {self.name} generator cannot be asked for {attribute}, only for "
                    f"{', '.join(sorted(self.conditionable))}."
                )
        return self.labels

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the name, the settings and everything learnt."""
        digest = hashlib.sha256(f"{self.name}\n{self.config.model_dump_json()}".encode())
        for key, array in sorted(self._all_arrays().items()):
            digest.update(f"{key}{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def _all_arrays(self) -> Arrays:
        if self.labels is None:
            raise UsageError(f"The {self.name} generator is not fitted yet: call fit first.")
        labels = self.labels.astype("Int8").fillna(-1).to_numpy(dtype=np.int8)
        return {"labels": labels, **{f"model.{key}": array for key, array in self._arrays().items()}}

    def save(self, directory: str | Path) -> None:
        """Write the generator to a folder: `config.json` and `weights.safetensors`, whole or not at all."""
        arrays = {key: np.ascontiguousarray(array) for key, array in self._all_arrays().items()}
        header = {
            "name": self.name,
            "config": self.config.model_dump(mode="json"),
            "attributes": list(require(self.labels).columns),
        }
        with atomic_path(Path(directory)) as temporary:
            temporary.mkdir()
            (temporary / "weights.safetensors").write_bytes(save(arrays))
            (temporary / "config.json").write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """The generator that `save` wrote.

        Raises:
            DataError: the folder holds none, or its files are damaged.
        """
        header = _read_header(Path(directory))
        try:
            generator = cls.from_config(header["config"], context=SAVED)
            arrays = load_file(Path(directory) / "weights.safetensors")
            _check_finite(arrays)
            labels = arrays.pop("labels")
            table = pd.DataFrame(labels, columns=pd.Index(header["attributes"], dtype=object))
            generator.labels = table.astype("Int8").mask(table < 0).astype("boolean")
            generator._restore({key.removeprefix("model."): array for key, array in arrays.items()})
        except AugfaceError:
            raise
        except Exception as error:  # a damaged file, or one that was made to do harm, raises what it likes
            reason = str(error).partition("\n")[0].rstrip(".:") or type(error).__name__
            raise DataError(f"The generator in {directory} cannot be read: {reason}. Was it cut short?") from error
        return generator


@dataclass(frozen=True)
class _Making(Generic[Result]):
    """Makes faces as planned, and does some work on them; any process of a job can do it."""

    generator: Generator
    work: Callable[[FaceDataset], Result]

    def __call__(self, plan: Plan) -> tuple[FaceDataset, Result]:
        """The planned faces, and what the work gives for them."""
        labels, factors, names = plan
        faces = self.generator._faces(self.generator._make(labels, factors), labels, names, factors)
        return faces, self.work(faces)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets the generator as the files that it is saved as: whatever it holds can be saved."""
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "generator"
            self.generator.save(place)
            files = {file.name: file.read_bytes() for file in place.iterdir()}
        return _making, (type(self.generator), files, self.work)


def _making(
    kind: type[Generator], files: Mapping[str, bytes], work: Callable[[FaceDataset], Result]
) -> _Making[Result]:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        return _Making(kind.load(folder), work)


def _nothing(faces: FaceDataset) -> None:
    pass


def _read_header(directory: Path) -> dict[str, Any]:
    try:
        header = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{directory} holds no generator: config.json cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{directory}/config.json is not JSON: {error}.") from error
    kinds = {"name": str, "config": dict, "attributes": list}
    if not isinstance(header, dict) or not all(isinstance(header.get(key), kind) for key, kind in kinds.items()):
        raise DataError(f"{directory}/config.json is not that of a generator.")
    attributes = header["attributes"]
    if not all(isinstance(name, str) for name in attributes) or len(set(attributes)) < len(attributes):
        raise DataError(f"{directory}/config.json names attributes twice, or by something else than texts.")
    return header


def _check_finite(arrays: Arrays) -> None:
    for key, array in arrays.items():
        if np.issubdtype(array.dtype, np.inexact) and not np.isfinite(array).all():
            raise ValueError(f"{key} holds NaN or infinity")


def check_images(array: np.ndarray[Any, Any], labels: pd.DataFrame) -> Pixels:
    """The array, where it holds an image for each row of labels: uint8 (N, H, H, 3); a `ValueError` else."""
    shape = (len(labels), *array.shape[1:2] * 2, 3)
    if array.dtype != np.uint8 or array.shape != shape or not array.size:
        raise ValueError(f"its images are {array.dtype} {array.shape}")
    return array


def saved_name(directory: Path) -> str:
    """The registry name of the generator saved in `directory`."""
    return str(_read_header(directory)["name"])


def check_generator(kind: type[Generator], data: FaceDataset, config: Mapping[str, Any] | None = None) -> None:
    """Check the contract that the rest of augface relies on. For the tests of those who write generators.

    Args:
        kind: the generator's class.
        data: a few dozen labelled faces to fit on; at least one attribute with both values.
        config: settings that keep fitting quick.

    Raises:
        AssertionError: a part of the contract does not hold; the text says which.
    """
    assert kind.name, "the class has no name"
    assert kind.capabilities <= CAPABILITIES, f"unknown capabilities {set(kind.capabilities) - CAPABILITIES}"
    _check_refuses_unknown_setting(kind)
    generator = kind.from_config(config or {})
    try:
        generator.sample(1)
    except UsageError:
        pass
    else:
        raise AssertionError("sample before fit must raise UsageError")
    generator.fit(data, budget="64", seed=1)
    faces = generator.sample(9, seed=3)
    assert len(faces) == 9, "sample(9) must give 9 faces"
    assert faces.images.shape[1:] == data.images.shape[1:], "synthetic faces must have the size of the training faces"
    assert list(faces.attributes.columns) == list(data.attributes.columns), (
        "synthetic faces must carry the same attributes"
    )
    pixels = np.asarray(faces.images)
    assert np.array_equal(pixels, np.asarray(generator.sample(9, seed=3).images)), (
        "the same seed must give the same faces"
    )
    assert not np.array_equal(pixels, np.asarray(generator.sample(9, seed=4).images)), "another seed, other faces"
    assert np.array_equal(pixels[:5], np.asarray(generator.sample(5, seed=3).images)), (
        "fewer faces must be the first ones"
    )
    streamed = np.concatenate([np.asarray(part.images) for part in generator.iter_samples(9, seed=3)])
    assert np.array_equal(pixels, streamed), "iter_samples must give the faces of sample"
    attribute = next(str(name) for name in data.attributes if data.attributes[name].nunique() == 2)
    assert "conditional" in kind.capabilities or not generator.conditionable, (
        "only a conditional generator has conditionable attributes"
    )
    assert generator.conditionable <= set(data.attributes), "only attributes of the data can be requested"
    if attribute in generator.conditionable:
        for value in (True, False):
            requested = generator.sample(4, where={attribute: value}, seed=0).attributes[attribute]
            assert (requested == value).all(), f"faces requested with {attribute}={value} must be labelled so"
    else:
        try:
            generator.sample(1, where={attribute: True})
        except UsageError:
            pass
        else:
            raise AssertionError("a generator must refuse `where` with UsageError for what cannot be requested")
        assert faces.attributes[attribute].isna().all(), "labels that cannot be requested cannot be known"
    _check_steering(generator, faces, attribute)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "generator"
        generator.save(directory)
        again = kind.load(directory)
        assert again.fingerprint == generator.fingerprint, "save and load must keep the fingerprint"
        assert np.array_equal(pixels, np.asarray(again.sample(9, seed=3).images)), "save and load must keep the faces"
        assert not list(directory.rglob("*.pkl")), "no pickle"


def _check_steering(generator: Generator, faces: FaceDataset, attribute: str) -> None:
    """`faces` are the nine of seed 3."""
    if "latent" not in generator.capabilities:
        steering: tuple[tuple[float, FaceDataset | None], ...] = ((0.5, None), (1, faces))
        for psi, like in steering:
            try:
                generator.sample(1, psi=psi, like=like)
            except UsageError:
                continue
            raise AssertionError("a generator that is not latent must refuse psi and like with UsageError")
        return
    pixels = np.asarray(faces.images)
    again = generator.sample(4, like=faces.select([7, 2, 5, 2]))
    assert np.array_equal(np.asarray(again.images), pixels[[7, 2, 5, 2]]), "`like` must make the same faces again"
    alike = generator.sample(9, psi=0, seed=3)
    kinds = len(alike.attributes.drop_duplicates())
    assert len(np.unique(np.asarray(alike.images), axis=0)) <= kinds, "psi=0: one face for each kind of face"
    way = np.asarray(generator.interpolate(faces.select([0]), faces.select([8]), 3).images)
    assert np.array_equal(way[[0, 2]], pixels[[0, 8]]), "the ends of a way must be the two faces"
    if attribute in generator.conditionable:
        turned = generator.sample(9, like=faces, where={attribute: True})
        assert turned.attributes[attribute].all(), "faces made again with an attribute must be labelled so"
        others = faces.attributes.columns.drop(attribute)
        assert turned.attributes[others].equals(faces.attributes[others]), "`where` must change what it names alone"
        unchanged = faces.matching({attribute: True})
        assert np.array_equal(np.asarray(turned.images)[unchanged], pixels[unchanged]), "the noise must be held"


def _check_refuses_unknown_setting(kind: type[Generator]) -> None:
    try:
        kind.from_config({"no_such_setting": 1})
    except UsageError:
        return
    raise AssertionError("unknown settings must be refused with UsageError")
