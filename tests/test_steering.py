"""Faces at fixed noise: the same face with another attribute, less of its noise, or on the way to another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from augface.cli import main
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import UnknownNameError, UsageError
from augface.generators import create_generator
from augface.generators._codes import along_the_sphere
from augface.generators.base import CHUNK, Generator

TINY: dict[str, Any] = {"channels": 4, "latent": 8, "batch_size": 8}


@pytest.fixture(scope="module")
def cgan() -> Generator:
    generator = create_generator("cgan", **TINY)
    generator.fit(load_toyfaces(80, 16), budget="400", seed=1)
    return generator


@pytest.fixture(scope="module")
def dcgan() -> Generator:
    generator = create_generator("dcgan", **TINY)
    generator.fit(load_toyfaces(80, 16), budget="80", seed=1)
    return generator


def pixels(faces: FaceDataset) -> np.ndarray[Any, Any]:
    return np.asarray(faces.images)


class TestTruncation:
    def test_one_changes_nothing(self, cgan: Generator) -> None:
        assert np.array_equal(pixels(cgan.sample(5, seed=2)), pixels(cgan.sample(5, seed=2, psi=1)))

    def test_none_of_the_noise_gives_one_face_for_each_kind(self, cgan: Generator, dcgan: Generator) -> None:
        faces = cgan.sample(CHUNK + 40, seed=2, psi=0)
        kinds = faces.attributes.groupby(list(faces.attributes)).ngroup().to_numpy()
        for kind in np.unique(kinds):
            assert len(np.unique(pixels(faces)[kinds == kind], axis=0)) == 1
        assert len(np.unique(pixels(faces), axis=0)) > 1
        assert len(np.unique(pixels(dcgan.sample(20, psi=0)), axis=0)) == 1

    def test_less_noise_gives_faces_that_are_more_alike(self, dcgan: Generator) -> None:
        spreads = [pixels(dcgan.sample(64, psi=psi)).std(axis=0).mean() for psi in (0.25, 0.5, 1.0)]
        assert spreads == sorted(spreads)

    @pytest.mark.parametrize("psi", [-0.1, float("nan"), float("inf")])
    def test_out_of_range_is_refused(self, psi: float, cgan: Generator) -> None:
        with pytest.raises(UsageError, match="psi takes a number from 0 up"):
            cgan.sample(1, psi=psi)


class TestFlips:
    def test_faces_are_made_again_in_any_order_and_of_any_chunk(self, cgan: Generator) -> None:
        faces = cgan.sample(CHUNK + 40, seed=2)
        rows = [CHUNK + 3, 3, 200, CHUNK + 3, 0]
        again = cgan.sample(5, like=faces.select(rows))
        assert np.array_equal(pixels(again), pixels(faces)[rows])
        assert again.factors is not None
        assert again.factors["number"].tolist() == rows
        assert np.array_equal(pixels(cgan.sample(2, like=faces.select(rows))), pixels(again)[:2])

    def test_more_than_a_chunk_is_made_again(self, cgan: Generator) -> None:
        faces = cgan.sample(CHUNK + 4, seed=2)
        assert np.array_equal(pixels(cgan.sample(len(faces), like=faces)), pixels(faces))

    def test_only_what_is_named_changes_and_back_again(self, cgan: Generator) -> None:
        faces = cgan.sample(30, seed=2)
        turned = cgan.sample(30, like=faces, where={"Eyeglasses": True})
        assert turned.attributes["Eyeglasses"].all()
        others = faces.attributes.columns.drop("Eyeglasses")
        pd.testing.assert_frame_equal(turned.attributes[others], faces.attributes[others])
        had = faces.matching({"Eyeglasses": True})
        differ = (pixels(turned) != pixels(faces)).any(axis=(1, 2, 3))
        assert differ.tolist() == (~had).tolist()
        without = turned.select(~had)
        back = cgan.sample(len(without), like=without, where={"Eyeglasses": False})
        assert np.array_equal(pixels(back), pixels(faces)[~had])

    def test_the_noise_is_held_and_no_other(self, cgan: Generator) -> None:
        """A face with another label is nearer to itself than to another face with that label."""
        faces = cgan.sample(40, seed=2, where={"Smiling": True})
        turned = pixels(cgan.sample(40, like=faces, where={"Smiling": False})).astype(float)
        apart = np.abs(turned[:, None] - pixels(faces)[None].astype(float)).mean(axis=(2, 3, 4))
        assert (apart.argmin(axis=1) == np.arange(40)).mean() > 0.9

    def test_a_kind_that_nobody_is_of_can_be_made(self, cgan: Generator) -> None:
        women = cgan.sample(3, where={"Male": False})
        assert cgan.sample(3, like=women, where={"Goatee": True}).matching({"Male": False, "Goatee": True}).all()

    def test_psi_multiplies_that_of_the_faces(self, cgan: Generator) -> None:
        half = cgan.sample(4, seed=2, psi=0.5)
        assert np.array_equal(pixels(cgan.sample(4, like=half)), pixels(half))
        quarter = cgan.sample(4, like=half, psi=0.5)
        assert np.array_equal(pixels(quarter), pixels(cgan.sample(4, seed=2, psi=0.25)))

    def test_faces_of_several_seeds(self, dcgan: Generator) -> None:
        first, second = dcgan.sample(2, seed=2), dcgan.sample(2, seed=3)
        from augface.data.dataset import concatenate

        both = concatenate([second, first], spec="dcgan")
        assert np.array_equal(pixels(dcgan.sample(4, like=both)), np.concatenate([pixels(second), pixels(first)]))


class TestInterpolation:
    def test_the_ends_are_the_two_faces(self, cgan: Generator) -> None:
        faces = cgan.sample(CHUNK + 10, seed=2)
        first, second = faces.select([4, CHUNK + 9, 7]), faces.select([5, 4, 6])
        way = cgan.interpolate(first, second, 4)
        assert len(way) == 12
        assert np.array_equal(pixels(way)[::4], pixels(first))
        assert np.array_equal(pixels(way)[3::4], pixels(second))
        assert len(np.unique(pixels(way), axis=0)) == 11  # one face stands at two ends
        pd.testing.assert_frame_equal(way.select(slice(0, None, 4)).attributes, first.attributes)
        pd.testing.assert_frame_equal(way.select(slice(3, None, 4)).attributes, second.attributes)
        assert way.factors is not None
        assert way.factors["share"].iloc[:4].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
        assert way.factors["from_number"].iloc[4:8].tolist() == [CHUNK + 9] * 4

    def test_labels_that_the_ends_do_not_share_are_not_known_between(self, cgan: Generator) -> None:
        first = cgan.sample(1, seed=2, where={"Smiling": True})
        second = cgan.sample(1, like=first, where={"Smiling": False})
        way = cgan.interpolate(first, second, 3)
        assert way.attributes["Smiling"].isna().tolist() == [False, True, False]
        others = way.attributes.drop(columns="Smiling")
        assert not others.isna().any().any()

    def test_only_the_label_moves_at_equal_noise(self, cgan: Generator) -> None:
        first = cgan.sample(1, seed=2, where={"Smiling": True})
        second = cgan.sample(1, like=first, where={"Smiling": False})
        ends = pixels(cgan.interpolate(first, second, 5)).astype(float)
        assert np.abs(np.diff(ends, axis=0)).mean(axis=(1, 2, 3)).max() <= np.abs(ends[-1] - ends[0]).mean() + 0.5
        assert np.array_equal(pixels(cgan.interpolate(first, first, 3)), pixels(first)[[0, 0, 0]])

    def test_noise_keeps_its_lengthalong_the_sphere(self) -> None:
        random = np.random.default_rng(0)
        first, second = random.standard_normal((2, 50, 64)).astype(np.float32)
        second *= np.linalg.norm(first, axis=1, keepdims=True) / np.linalg.norm(second, axis=1, keepdims=True)
        for share in (0.25, 0.5):
            middle = along_the_sphere(first, second, share)
            np.testing.assert_allclose(np.linalg.norm(middle, axis=1), np.linalg.norm(first, axis=1), rtol=1e-5)
        for share, end in ((0.0, first), (1.0, second)):
            assert np.array_equal(along_the_sphere(first, second, share), end)

    def test_opposite_or_no_noise_has_a_way_too(self) -> None:
        noise = np.ones((1, 4), np.float32)
        assert np.isfinite(along_the_sphere(noise, -noise, 0.3)).all()
        np.testing.assert_allclose(along_the_sphere(noise, 0 * noise, 0.25), 0.75 * noise)

    def test_what_cannot_be_paired_is_refused(self, cgan: Generator) -> None:
        faces = cgan.sample(3)
        with pytest.raises(UsageError, match="2 steps or more"):
            cgan.interpolate(faces, faces, 1)
        with pytest.raises(UsageError, match="3 and 2"):
            cgan.interpolate(faces, faces.select([0, 1]), 3)


class TestRefusals:
    @pytest.mark.parametrize(
        "steer",
        [
            lambda generator, faces: generator.sample(1, psi=0.5),
            lambda generator, faces: generator.sample(1, like=faces),
            lambda generator, faces: generator.interpolate(faces, faces, 3),
        ],
    )
    def test_generators_without_noise_say_which_have_some(self, steer: Callable[[Generator, FaceDataset], Any]) -> None:
        generator = create_generator("resample")
        generator.fit(load_toyfaces(20, 16))
        with pytest.raises(UsageError, match=r"resample generator has no noise .* Those that can are called latent"):
            steer(generator, generator.sample(2))

    def test_faces_that_were_not_generated_are_refused(self, cgan: Generator) -> None:
        with pytest.raises(UsageError, match="do not give the seed and number"):
            cgan.sample(1, like=load_toyfaces(20, 16))

    def test_faces_of_other_attributes_are_refused(self, cgan: Generator) -> None:
        other = create_generator("dcgan", **TINY)
        other.fit(FaceDataset.from_arrays(np.asarray(load_toyfaces(20, 16).images)), budget="8")
        with pytest.raises(UsageError, match="other attributes"):
            cgan.sample(1, like=other.sample(1))

    def test_more_faces_than_there_are_cannot_be_made_again(self, cgan: Generator) -> None:
        with pytest.raises(UsageError, match="There are 2 faces to make again, not 3"):
            cgan.sample(3, like=cgan.sample(2))

    def test_what_cannot_be_asked_for_cannot_be_changed(self, cgan: Generator, dcgan: Generator) -> None:
        with pytest.raises(UsageError, match="attributes cannot be requested"):
            dcgan.sample(1, like=dcgan.sample(1), where={"Smiling": True})
        with pytest.raises(UnknownNameError, match="Did you mean 'Smiling'"):
            cgan.sample(1, like=cgan.sample(1), where={"Smilling": True})


class TestCommand:
    def test_pairs_are_written_with_and_without(self, cgan: Generator, tmp_path: Path) -> None:
        cgan.save(tmp_path / "generator")
        words = f"sample {tmp_path / 'generator'} -n 3 --flip Smiling --psi 0.7 --seed 4 --out {tmp_path / 'made'}"
        assert main(words.split()) == 0
        table = pd.read_csv(tmp_path / "made" / "metadata.csv").sort_values("file_name", ignore_index=True)
        assert table["file_name"].tolist() == [f"00000{i}-Smiling-{value}.png" for i in range(3) for value in (0, 1)]
        assert table["Smiling"].tolist() == [0, 1] * 3
        others = table.drop(columns=["file_name", "Smiling"])
        pd.testing.assert_frame_equal(others.iloc[::2].reset_index(drop=True), others.iloc[1::2].reset_index(drop=True))
        faces = cgan.sample(3, seed=4, psi=0.7)
        expected = pixels(cgan.sample(3, like=faces, where={"Smiling": False}))
        for number in range(3):
            with Image.open(tmp_path / "made" / f"00000{number}-Smiling-0.png") as picture:
                assert np.array_equal(np.asarray(picture), expected[number])

    def test_a_flip_of_what_is_asked_for_is_refused(
        self, cgan: Generator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cgan.save(tmp_path / "generator")
        words = f"sample {tmp_path / 'generator'} -n 3 --flip Male --where Male=1 --out {tmp_path / 'made'}"
        assert main(words.split()) == 2
        assert "--where cannot request either" in capsys.readouterr().err
