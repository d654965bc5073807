"""What is found inside networks: planted units, layers and directions, and nothing where there is nothing to find."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import augface
from augface.cli import main
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import PARTS, load_toyfaces, render, render_mask, sample_population
from augface.errors import DataError, UnknownNameError, UsageError
from augface.evaluators.base import Context, check_evaluator
from augface.evaluators.inspection import Inspection
from augface.generators import create_generator
from augface.generators._networks import GeneratorNetwork
from augface.generators.base import Generator
from augface.inspection import attention, inspected, judge
from augface.inspection.attention import integrated_gradients, randomised
from augface.inspection.directions import ganspace, map_products, sefa, similarity, subspace_overlap
from augface.inspection.judge import Readout
from augface.inspection.layers import places, turn_label
from augface.inspection.sections import directions as directions_section
from augface.inspection.sections import units as units_section
from augface.inspection.units import Swings, on_levels, swing_units, unit_effects
from augface.results import Evaluation
from augface.tensors import to_pixels

TINY: dict[str, Any] = {"channels": 4, "latent": 8, "batch_size": 8}


# Units


def planted(seed: int, *, shuffled: bool = False) -> tuple[Swings, Readout]:
    """Units of which the first of every ten move faces along one of two attributes; the others anywhere."""
    random = np.random.default_rng(seed)
    labels = random.random((400, 2)) < (0.3, 0.5)
    coordinates = random.standard_normal((400, 12))
    coordinates[:, :2] += 2 * labels
    coordinates = (coordinates - coordinates.mean(axis=0)) / coordinates.std(axis=0)
    if shuffled:
        labels = np.stack([random.permutation(column) for column in labels.T], axis=1)
    readout = Readout.fit(coordinates, pd.DataFrame(labels, columns=["A", "B"]).astype("boolean"))
    own = np.zeros((100, 12))
    own[::20, 0] = own[10::20, 1] = 1
    own[np.arange(100) % 10 > 0, 2:] = 0.3 * random.standard_normal((90, 10))
    on = own[:, None] + 0.2 * random.standard_normal((100, 12, 12))
    layers = np.repeat([0, 1], 50)
    nothing = np.zeros_like(on)
    return Swings(layers, np.arange(100) % 50, nothing, on, np.zeros((100, 4, 4), np.float32)), readout


def test_planted_units_are_found_and_hardly_any_other() -> None:
    right, others = 0, 0
    for seed in range(10):
        found = unit_effects(*planted(seed)).found
        truth = np.zeros((100, 2), dtype=bool)
        truth[::20, 0] = truth[10::20, 1] = True
        right += int((found & truth).sum())
        others += int((found & ~truth).sum())
    assert right >= 95, f"{right} of 100 planted units are found"
    assert others <= 0.1 * right, f"{others} others are found"


def test_with_shuffled_labels_discoveries_are_rare() -> None:
    families = sum(bool(unit_effects(*planted(seed, shuffled=True)).found.any()) for seed in range(100))
    assert families <= 10, f"{families} of 100 inspections find something where there is nothing"


def test_a_unit_that_changes_hardly_anything_is_no_discovery() -> None:
    swings, readout = planted(0)
    faint = Swings(swings.layers, swings.channels, swings.off, 0.01 * swings.on, swings.places)
    assert not unit_effects(faint, readout).found.any()


def test_alignment_is_in_standard_deviations_under_permutation() -> None:
    swings, readout = planted(3)
    random = np.random.default_rng(0)
    change = swings.swing.mean(axis=1)[:1]
    drawn = []
    for _ in range(400):
        labels = random.permutation(readout.labels)
        one = Readout(readout.attributes, labels, readout.coordinates, readout.directions, readout.lengths)
        drawn.append(one.alignment(change)[0])
    assert np.mean(drawn, axis=0) == pytest.approx([0, 0], abs=0.15)
    assert np.std(drawn, axis=0) == pytest.approx([1, 1], abs=0.12)


# Networks of known weights


def network(conditions: int = 2, latent: int = 6) -> GeneratorNetwork:
    """A network of 16 pixels with two layers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = GeneratorNetwork(16, 4, latent, conditions).eval().requires_grad_(False)
        for name, buffer in made.named_buffers():
            if name.endswith("running_mean"):
                buffer.uniform_(-0.2, 0.2)
    return made


def inputs(count: int, latent: int = 6) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    return torch.randn(count, latent, generator=random), torch.ones(count, 2)


class MeanColours:
    """In place of a judge: its coordinates are the mean colours of a face, and its attribute is redness."""

    def coordinates(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(images.mean(axis=(1, 2)) / 255)

    def responses(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return self.coordinates(images)[:, :1]


def test_a_unit_is_turned_off_and_on_in_the_layer_that_it_is_in() -> None:
    made, (noise, conditions), colours = network(), inputs(3), MeanColours()
    levels = on_levels(made, *inputs(50))
    swings = swing_units(made, noise, conditions, levels, colours)  # type: ignore[arg-type]
    assert swings.layers.tolist() == [0] * 8 + [1] * 4
    assert swings.channels.tolist() == [*range(8), *range(4)]
    before = colours.coordinates(to_pixels(made(noise, conditions)))
    for unit in (2, 9):
        for level, changes in ((None, swings.off), (levels, swings.on)):
            norm = made.norms[int(swings.layers[unit])]

            def turn(module: nn.Module, given: Any, maps: Tensor, unit: int = unit, level: Any = level) -> Tensor:
                turned = maps.clone()
                channel = int(swings.channels[unit])
                turned[:, channel] = 0 if level is None else level[int(swings.layers[unit])][channel]
                return turned

            hook = norm.register_forward_hook(turn)
            after = colours.coordinates(to_pixels(made(noise, conditions)))
            hook.remove()
            assert changes[unit] == pytest.approx(after - before, abs=1e-6)


def test_the_layer_that_alone_has_the_label_makes_the_whole_change() -> None:
    made, (noise, conditions) = network(), inputs(5)
    made.stem.weight[:, -2:] = 0  # the input does not see the labels, and layer 0 does not either
    weights = dict(made.named_parameters())["norms.1.modulation.weight"]
    weights[:] = torch.linspace(-1, 1, weights.numel()).reshape(weights.shape)
    found = turn_label(made, noise, conditions, 0, lambda faces: MeanColours().responses(faces)[:, 0])
    assert places(made) == ["input", "4 px", "8 px"]
    assert [found.share(place).value for place in range(3)] == pytest.approx([0, 0, 1])
    assert np.array_equal(found.faces[3], found.faces[4]), "turned in that layer is turned in all"


def test_sefa_finds_the_direction_that_the_first_weights_enlarge() -> None:
    made = network()
    direction = torch.tensor([0.6, 0.0, 0.8, 0.0, 0.0, 0.0])
    made.stem.weight[:, :6] += 3 * torch.outer(torch.ones(len(made.stem.weight)), direction)
    found = sefa(made, 6, 2)
    assert abs(found[0] @ direction.numpy()) > 0.99
    half = np.arange(0, made.stem.out_features, 2)
    assert similarity(found, sefa(made, 6, 2, half))[0] > 0.99


def test_ganspace_finds_the_noise_that_moves_a_layer_most_and_no_label() -> None:
    made = network()
    direction = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    made.stem.weight[:, :6] += torch.outer(torch.linspace(-2, 2, len(made.stem.weight)), direction)
    noise, _ = inputs(300)
    conditions = torch.randint(0, 2, (300, 2), generator=torch.Generator().manual_seed(0)).float() * 2 - 1
    found = ganspace(map_products(made, noise.numpy(), conditions.numpy()), noise.numpy(), 2)
    assert abs(found[0] @ direction.numpy()) > 0.95


def test_overlap_of_subspaces() -> None:
    same, other = np.eye(6)[:2], np.eye(6)[2:4]
    turned = np.array([[0.6, 0.8, 0, 0, 0, 0], [-0.8, 0.6, 0, 0, 0, 0]])
    assert subspace_overlap(same, turned) == pytest.approx(1)
    assert subspace_overlap(same, other) == pytest.approx(0)


# Attention


class Patch(nn.Module):
    """Looks at the upper left corner alone."""

    def __init__(self) -> None:
        super().__init__()
        weights = torch.zeros(3, 16, 16)
        weights[:, :5, :5] = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(0))
        self.weights = nn.Parameter(weights)

    def forward(self, images: Tensor) -> Tensor:
        return (images * self.weights).sum(dim=(1, 2, 3))


@pytest.fixture
def noise_faces() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)


def test_maps_show_where_a_classifier_looks_and_pass_the_test(noise_faces: np.ndarray[Any, Any]) -> None:
    found = attention.attention(Patch(), lambda patch, images: patch(images), noise_faces, seed=0)
    assert found.maps[:, :5, :5].mean() > 20 * found.maps[:, 8:, 8:].mean()
    assert found.depends_on_weights


def test_maps_that_do_not_depend_on_weights_fail_the_test(noise_faces: np.ndarray[Any, Any]) -> None:
    found = attention.attention(Patch(), lambda patch, images: images.square().sum(dim=(1, 2, 3)), noise_faces, seed=0)
    assert found.correlation.value == pytest.approx(1)
    assert not found.depends_on_weights


def test_integrated_gradients_of_a_linear_score_are_its_weights_times_the_difference() -> None:
    patch, images = Patch(), torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    expected = ((images - images.mean(dim=0)) * patch.weights).sum(dim=1).abs().detach().numpy()
    found = integrated_gradients(patch, images)
    assert found.sum(axis=(1, 2)) == pytest.approx(expected.sum(axis=(1, 2)), rel=0.05)


def test_random_weights_leave_the_network_as_it_was() -> None:
    patch = Patch()
    before = patch.weights.detach().clone()
    assert not torch.equal(randomised(patch, 0).weights, before)  # type: ignore[arg-type]
    assert torch.equal(patch.weights, before)


# The whole


@pytest.fixture(scope="module", autouse=True)
def quick() -> Any:
    """Fewer faces of everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "IMAGES", 900)
        patch.setattr(judge, "READABLE", 0.6)
        for name, value in {"REFERENCE": 32, "SWUNG": 4, "CHECKED": 8}.items():
            patch.setattr(inspected, name, value)
        patch.setattr(units_section, "RANDOM_SETS", 2)
        for name, value in {"RANDOM_DIRECTIONS": 3, "SAMPLES": 64, "SPLITS": 2}.items():
            patch.setattr(directions_section, name, value)
        patch.setattr(attention, "STEPS", 3)
        yield


@pytest.fixture(scope="module")
def data() -> FaceDataset:
    faces = load_toyfaces(400, 16)
    assert faces.train is not None
    hostile = faces.train.attributes.rename(columns={"Male": "<script>alert(1)</script>"})
    return FaceDataset.from_arrays(np.asarray(faces.train.images), hostile)


@pytest.fixture(scope="module")
def cgan(data: FaceDataset) -> Generator:
    generator = create_generator("cgan", **TINY)
    generator.fit(data, budget="240", seed=1)
    return generator


@pytest.fixture(scope="module")
def looked(cgan: Generator, data: FaceDataset) -> Evaluation:
    return augface.inspect(cgan, data=data, attr=["<script>alert(1)</script>"])


class Elements(HTMLParser):
    """The tags of a page, and addresses that it would ask."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.asked: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.asked += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]


def test_the_page_is_small_sealed_and_escaped(looked: Evaluation) -> None:
    page = looked.to_html()
    assert len(page.encode()) < 500_000
    found = Elements(page)
    assert all(address.startswith(("data:", "#")) for address in found.asked)
    assert found.tags.count("script") == 1, "the report's own"
    assert "&lt;script&gt;alert(1)" in page
    assert ">Result<" in page


def test_all_parts_are_there_and_json_keeps_them(looked: Evaluation, tmp_path: Path) -> None:
    assert [section.key for section in looked.sections] == ["units", "layers", "directions", "walks", "attention"]
    assert {"units_found", "label_effect", "sefa_overlap", "ganspace_overlap"} <= {
        one.name for one in looked.measurements
    }
    looked.to_json(tmp_path / "inside.json")
    assert Evaluation.from_json(tmp_path / "inside.json") == looked
    assert not any(getattr(artifact, "shows_real_people", False) for artifact in looked.artifacts)


def test_the_same_bytes_twice(looked: Evaluation, cgan: Generator, data: FaceDataset) -> None:
    again = augface.inspect(cgan, data=data, attr=["<script>alert(1)</script>"])
    assert again.to_json() == looked.to_json()
    assert again.to_html() == looked.to_html()


def test_without_labels_directions_and_walks_are_left(data: FaceDataset) -> None:
    faces = FaceDataset.from_arrays(np.asarray(data.images[:60]))
    generator = create_generator("dcgan", **TINY)
    generator.fit(faces, budget="80", seed=1)
    found = augface.inspect(generator, data=faces)
    assert {artifact.section for artifact in found.artifacts} == {"directions", "walks"}
    assert {one.evaluator for one in found.skipped} >= {"units", "layers"}
    assert not re.search(r"\bNone\b", found.verdict.sentence + found.verdict.reason)


def test_the_evaluator_folds_all_parts_into_one_section(cgan: Generator, data: FaceDataset) -> None:
    context = Context(reference=data, samples=cgan.sample(20), train=data, generator=cgan)
    check_evaluator(Inspection, context)


def test_what_cannot_be_inspected_is_one_clear_line(data: FaceDataset, tmp_path: Path, capsys: Any) -> None:
    resample = create_generator("resample")
    resample.fit(data)
    with pytest.raises(UsageError, match="resample generator cannot be inspected"):
        augface.inspect(resample, data=data)
    resample.save(tmp_path / "generator")
    page = tmp_path / "page.html"
    assert main(["inspect", str(tmp_path), "--out", str(page)]) == 2
    assert main(["inspect", str(tmp_path / "nowhere"), "--out", str(page)]) == 3
    assert main(["inspect", str(tmp_path), "--out", str(tmp_path)]) == 4
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert not page.exists()


def test_an_attribute_that_was_never_seen_is_refused(cgan: Generator, data: FaceDataset) -> None:
    with pytest.raises(UnknownNameError, match="Smilling"):
        augface.inspect(cgan, data=data, attr="Smilling")
    with pytest.raises(UsageError, match="does not say what it learnt from"):
        augface.inspect(cgan)
    with pytest.raises(DataError):
        augface.inspect(cgan, data="folder:/nowhere")


# Masks of toy faces


@pytest.mark.parametrize(("part", "changes"), [("hat", {"hat": True}), ("glasses", {"glasses": True}), ("mouth", {})])
def test_a_mask_is_where_a_part_is_seen(part: str, changes: dict[str, Any]) -> None:
    factors, _, _ = sample_population(6, 0)
    factors = factors.assign(**changes)
    seen = render_mask(factors, 32, part)
    assert seen.any(axis=(1, 2)).all()
    assert seen.mean() < 0.4
    without = render_mask(factors.assign(**dict.fromkeys(changes, False)), 32, part)
    assert part == "mouth" or not without.any()


def test_parts_are_named() -> None:
    factors, _, _ = sample_population(2, 0)
    assert len(PARTS) == 11
    assert render(factors, 16).shape == (2, 16, 16, 3)
    with pytest.raises(UnknownNameError, match="part of a toy face"):
        render_mask(factors, 16, "glases")
