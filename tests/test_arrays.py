"""Faces as people have them in memory: images and labels of any kind are read right, or refused in words.

Each row of the table "In Python" of docs/inputs.md has its test here.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import augface
from augface.data.dataset import FaceDataset
from augface.errors import DataError

NAMES = ["a.png", "b.png", "c.png"]
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
PIXELS[0, 0, 0], PIXELS[0, 0, 1] = 0, 255
GREY = np.repeat(PIXELS[..., :1], 3, axis=-1)


def labels(column: Any, names: list[str] | None = None) -> list[bool | None]:
    """What becomes of a column of labels of the three faces."""
    read = FaceDataset.from_arrays(PIXELS, {"Male": column}, names=names).attributes["Male"]
    return [None if pd.isna(value) else bool(value) for value in read]


class TestImages:
    @pytest.mark.parametrize(
        ("given", "read"),
        [
            pytest.param(PIXELS, PIXELS, id="uint8"),
            pytest.param(PIXELS.transpose(0, 3, 1, 2), PIXELS, id="channels first"),
            pytest.param(PIXELS[..., :1], GREY, id="one channel"),
            pytest.param(PIXELS[:, None, :, :, 0], GREY, id="one channel, first"),
            pytest.param(np.concatenate([PIXELS, np.full((3, 8, 8, 1), 255, np.uint8)], 3), PIXELS, id="opaque"),
            pytest.param(PIXELS.astype(np.int64), PIXELS, id="whole numbers"),
            pytest.param((PIXELS / 255).astype(np.float32), PIXELS, id="0 to 1"),
            pytest.param((PIXELS / 127.5 - 1).astype(np.float32), PIXELS, id="-1 to 1"),
            pytest.param(PIXELS.astype(np.float64), PIXELS, id="0 to 255"),
            pytest.param((PIXELS / 255).astype(np.float32) * 1.0005, PIXELS, id="a little beyond 1"),
            pytest.param(torch.from_numpy(PIXELS.transpose(0, 3, 1, 2)) / 255, PIXELS, id="tensor"),
            pytest.param(torch.from_numpy(PIXELS).to(torch.bfloat16).requires_grad_(), None, id="bfloat16"),
            pytest.param([Image.fromarray(image) for image in PIXELS], PIXELS, id="PIL"),
            pytest.param([Image.fromarray(image[..., 0]) for image in PIXELS], GREY, id="grey PIL"),
            pytest.param(list(PIXELS), PIXELS, id="list of arrays"),
            pytest.param([torch.from_numpy(image).permute(2, 0, 1) for image in PIXELS], PIXELS, id="list of tensors"),
        ],
    )
    def test_what_is_understood(self, given: Any, read: Any) -> None:
        found = np.asarray(FaceDataset.from_arrays(given).images)
        if read is None:  # bfloat16 has eight bits, so that it rounds
            assert np.abs(found.astype(int) - PIXELS).max() <= 1
        else:
            assert found.dtype == np.uint8
            assert (found == read).all()

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            pytest.param(PIXELS.astype(int) - 1, "whole numbers from -1 to 254", id="below 0"),
            pytest.param(PIXELS * np.float32(3), "numbers from 0 to 765", id="above 255"),
            pytest.param(np.full((3, 8, 8, 3), np.nan), "numbers from nan to nan", id="NaN"),
            pytest.param(PIXELS[:, :4], "Faces are square, and these are 4 x 8", id="not square"),
            pytest.param(PIXELS[..., :2], "shape (3, 8, 8, 2)", id="two channels"),
            pytest.param(PIXELS[0], "shape (8, 8, 3)", id="one picture alone"),
            pytest.param([PIXELS[0], PIXELS[1, :4, :4]], "different shapes: (4, 4, 3), (8, 8, 3)", id="several sizes"),
            pytest.param(["a.png", "b.png"], "not of numbers", id="names"),
            pytest.param(PIXELS > 0, "array of bool", id="masks"),
            pytest.param(np.concatenate([PIXELS, PIXELS[..., :1]], 3), "transparent parts", id="transparent"),
        ],
    )
    def test_what_is_refused(self, given: Any, says: str) -> None:
        with pytest.raises(DataError) as refusal:
            FaceDataset.from_arrays(given)
        assert says in str(refusal.value)

    def test_grey_without_channels(self) -> None:
        many = np.concatenate([PIXELS, PIXELS])
        assert (np.asarray(FaceDataset.from_arrays(many[..., 0]).images) == np.concatenate([GREY, GREY])).all()
        with pytest.raises(DataError, match="are not understood"):
            FaceDataset.from_arrays(PIXELS[..., 0])  # three pictures, or three channels of one

    def test_floats_that_became_whole_numbers_are_remarked_on_and_not_measured(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        cut = (PIXELS / 255).astype(np.uint8)
        black = FaceDataset.from_arrays(cut)
        assert "nothing but 0 and 1" in caplog.text
        with pytest.raises(DataError, match="so they are black"):
            augface.evaluate(FaceDataset.from_arrays(PIXELS), black, evaluators=["fidelity"], spaces=["pixels"])

    def test_the_range_of_floats_is_said(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, logger="augface"):
            FaceDataset.from_arrays(PIXELS / 255)
        assert "taken for 0 to 1" in caplog.text


class TestLabels:
    @pytest.mark.parametrize(
        "column",
        [
            [True, False, None],
            [1, 0, None],
            [1, -1, np.nan],
            np.array([1, -1, 0]),
            ["yes", "No", ""],
            torch.tensor([1.0, -1.0, float("nan")]),
            pd.Series([True, False, pd.NA], dtype="boolean"),
            pd.array([1, 0, pd.NA], dtype="Int8"),
            pd.Categorical(["true", "false", None]),
        ],
        ids=lambda column: type(column).__name__ + str(list(column)),
    )
    def test_what_is_understood(self, column: Any) -> None:
        assert labels(column) == [True, False, None]

    def test_zeros_beside_minus_one_are_remarked_on(self, caplog: pytest.LogCaptureFixture) -> None:
        labels([1, -1, 0])
        assert "its 1 zeros are unknown" in caplog.text

    @pytest.mark.parametrize("wrong", [2, 0.5, "?", "man"])
    def test_anything_else_names_its_face(self, wrong: Any) -> None:
        with pytest.raises(DataError, match=r"The attribute Male is '.*' for b\.png \(row 1\)"):
            labels([1, wrong, 0], NAMES)

    def test_another_number_of_labels(self) -> None:
        with pytest.raises(DataError, match="3 images, but 2 values of the attribute Male"):
            labels([1, 0])

    @pytest.mark.parametrize("index", [[2, 1, 0], [7, 8, 9], ["x", "y", "z"], [0, 0, 0]])
    def test_a_series_goes_by_position_whatever_its_index(self, index: list[Any]) -> None:
        assert labels(pd.Series([True, False, True], index=index)) == [True, False, True]

    def test_a_series_goes_by_the_names_that_its_index_holds(self) -> None:
        column = pd.Series([True, False, False], index=["c.png", "b.png", "a.png"])
        assert labels(column, NAMES) == [False, False, True]
        with pytest.raises(DataError, match=r"lacks a\.png"):
            labels(pd.Series([1, 0, 1], index=["c.png", "b.png", "x.png"]), NAMES)

    def test_names_that_look_like_row_numbers_move_nothing(self) -> None:
        assert labels(pd.Series([True, False, False]), ["2", "1", "0"]) == [True, False, False]

    def test_two_faces_of_one_name(self) -> None:
        twice = ["a", "a", "b"]
        assert labels(pd.Series([True, False, True], index=twice), twice) == [True, False, True]
        with pytest.raises(DataError, match="lacks another face of the same name"):
            labels(pd.Series([True, False, True], index=["b", "a", "a"]), twice)

    def test_a_table_with_two_columns_of_one_name(self) -> None:
        table = pd.DataFrame([[1, 0]] * 3, columns=["Male", "Male"])
        with pytest.raises(DataError, match="'Male' comes more than once"):
            FaceDataset.from_arrays(PIXELS, table)


class TestTheRest:
    @pytest.mark.parametrize("split", [["train", "val", "Testing"], [0, 1, 2], pd.Series([0, 1, 2], index=[2, 1, 0])])
    def test_splits(self, split: Any) -> None:
        read = FaceDataset.from_arrays(PIXELS, split=split).split
        assert read is not None
        assert read.tolist() == ["train", "valid", "test"]

    @pytest.mark.parametrize("split", [["train", "elsewhere", "test"], [0, 1, 3], ["train", None, "test"]])
    def test_splits_that_are_none(self, split: Any) -> None:
        with pytest.raises(DataError, match=r"The split (puts 0000\d\d\.png into|of 1 faces is missing)"):
            FaceDataset.from_arrays(PIXELS, split=split)

    @pytest.mark.parametrize("people", [["ann", "bob", "ann"], [7, 9, 7], pd.Series([7.5, 9, 7.5], index=[1, 2, 0])])
    def test_people(self, people: Any) -> None:
        read = FaceDataset.from_arrays(PIXELS, identity=people).identity
        assert read is not None
        assert read[0] == read[2] != read[1]

    def test_attributes_may_be_asked_for_in_other_upper_and_lower_case(self) -> None:
        data = FaceDataset.from_arrays(PIXELS, {"Male": [1, 0, 1], "wig": [1, 1, 0], "Wig": [0, 1, 0]})
        assert data.attribute_name("male") == "Male"
        assert [data.attribute_name(name) for name in ("wig", "Wig")] == ["wig", "Wig"]
        with pytest.raises(augface.AugfaceError, match="WIG"):  # either could be meant
            data.attribute_name("WIG")
