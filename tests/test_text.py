"""Names in data are anybody's: none moves the cursor of a terminal, and none is computed by a spreadsheet."""

from __future__ import annotations

import ast
import csv
import io
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import save_file

from augface.cli import main
from augface.data.dataset import FaceDataset
from augface.data.export.cards import Summary, readme
from augface.data.export.writer import write_dataset
from augface.generators import create_generator
from augface.text import csv_text, one_line, printable

ROOT = Path(__file__).resolve().parent.parent
EVIL = "a\x1b[2J\x07\u202eb\x9b31m"
"""Clears the screen, rings, turns letters round, and is red by a control code of one byte."""

WRITING = ("print", "sys.stdout.write", "sys.stderr.write", "tqdm.write")


def is_harmless(text: str) -> bool:
    return all(letter.isprintable() or letter == "\n" for letter in text)


@pytest.mark.parametrize("text", [EVIL, "\r over", "\udcff", "\x00", "tab\there", "\u2028"])
def test_what_is_shown_is_harmless_and_says_what_was_there(text: str) -> None:
    assert not is_harmless(text)
    assert is_harmless(printable(text))
    assert is_harmless(one_line(text))
    assert one_line(text).isprintable()
    assert printable(text).encode("ascii").decode("unicode_escape") == text or "\udcff" in text


def test_plain_text_is_left_as_it_is() -> None:
    text = "Ünïcode, 顔, “quotes” and  two spaces"
    assert printable(text) == one_line(text) == text
    assert printable("two\nlines") == "two\nlines"
    assert one_line("two\r\n  lines\n") == "two lines "


def test_the_command_line_has_one_way_out() -> None:
    """All that commands show goes through `say`, `complain` or the log, which clean it."""
    printing = []
    for path in [*(ROOT / "augface").rglob("*.py"), *(ROOT / "generators").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in WRITING:
                printing.append((path.name, ast.unparse(node.args[0])))
    for name, what in printing:
        assert name in ("console.py", "__init__.py")
        assert "printable(" in what or "one_line(" in what or what == "text", f"{name} prints {what} as it is"
    assert len(printing) >= 4


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path, "PNG")


class TestTerminal:
    def test_folders_files_and_attributes(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / EVIL
        for number in range(12):
            picture(folder / f"{EVIL}{number}.png", number)
        (folder / f"{EVIL}broken.png").write_bytes(b"no image")
        names = [path.name for path in folder.glob("*.png")]
        pd.DataFrame({"file_name": names, f"{EVIL}1": np.arange(13) % 2}).to_csv(folder / "metadata.csv", index=False)
        assert main(["data", "show", str(folder), "--size", "16"]) == 0
        assert main(["data"]) == 0
        assert main(["data", "show", str(folder / "no such")]) == 3
        words = ["train", "--generator", "resample", "--data", str(folder), "--size", "16", "--out"]
        assert main([*words, str(tmp_path / f"run{EVIL}")]) == 0
        sample = ["sample", str(tmp_path / f"run{EVIL}"), "-n", "2", "--out", str(tmp_path / f"made{EVIL}")]
        assert main([*sample, "--where", f"{EVIL}=1"]) == 2
        assert main([*sample, "--where", f"{EVIL}1=1"]) == 0
        said = "".join(capsys.readouterr())
        assert "\\x1b[2J" in said
        assert is_harmless(said)

    def test_words_of_others_in_results_and_generators(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "results.json").write_text(json.dumps({"schema": 2, f"no{EVIL}": 1}))
        assert main(["report", str(tmp_path)]) == 3
        (tmp_path / "config.json").write_text(json.dumps({"name": EVIL, "config": {}, "attributes": []}))
        save_file({"labels": np.zeros((1, 0), np.int8)}, tmp_path / "weights.safetensors")
        assert main(["sample", str(tmp_path), "-n", "1", "--out", str(tmp_path / "out")]) == 2
        assert main([EVIL]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 3
        assert is_harmless(said)

    def test_the_log_is_one_line_a_message(self, capsys: pytest.CaptureFixture[str]) -> None:
        main(["list", "generators"])  # which makes the log be shown
        logging.getLogger("augface").warning(f"first\nsecond {EVIL}")
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert is_harmless(said)

    def test_a_bug_is_told_without_codes_too(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(words: list[str]) -> int:
            raise RuntimeError(EVIL)

        monkeypatch.setattr("augface.cli.app.run", fail)
        assert main(["doctor"]) == 1
        said = capsys.readouterr().err
        assert "Traceback" in said
        assert is_harmless(said)


class TestSpreadsheets:
    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")'])
    def test_no_cell_is_a_formula(self, text: str) -> None:
        table = pd.DataFrame({text: [text, "plain"], "number": [-1, 2], "missing": [None, text]})
        table["flag"] = pd.array([True, None], dtype="boolean")
        rows = list(csv.reader(io.StringIO(csv_text(table), newline=""), strict=True))
        assert rows[0][0] == rows[1][0] == rows[2][2]
        assert rows[0][0] == (f"'{text}" if text.isprintable() else printable(text))
        assert rows[1][1:] == ["-1", "", "True"], "numbers are left as they are"
        assert [rows[2][0], rows[2][1], rows[2][3]] == ["plain", "2", ""]

    def test_metadata_of_data_sets_and_samples(self, tmp_path: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
        name = '=cmd|"/c calc"!A1'
        faces = FaceDataset.from_arrays(pixels, {"Male": [True, False] * 3, name: [True] * 6}, names=[name] * 6)
        write_dataset(
            tmp_path / "written", faces, faces.select([]), target=["Male"], generator="x", generator_hash="", seed=0
        )
        generator = create_generator("resample")
        generator.fit(faces)
        generator.save(tmp_path / "generator")
        assert main(["sample", str(tmp_path / "generator"), "-n", "3", "--out", str(tmp_path / "made")]) == 0
        written = tmp_path / "written" / "celeba" / "img_align_celeba" / "metadata.csv"
        for path in (written, tmp_path / "made" / "metadata.csv"):
            rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
            assert any(name in cell for row in rows for cell in row) or path == written
            assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]
        kept = pd.read_parquet(tmp_path / "written" / "celeba" / "metadata.parquet")
        assert set(kept["original_name"]) == {name}, "where nothing is computed, names stay as they are"


def test_the_card_of_a_data_set_is_harmless_on_a_terminal() -> None:
    summary = Summary(
        title=EVIL,
        target=(EVIL,),
        classes={"train": (EVIL,)},
        faces={"train": 2},
        before={EVIL: 1},
        after={EVIL: 2},
        size=16,
        generator=EVIL,
        generator_hash="",
        seed=0,
        source=EVIL,
        source_hash="",
        renamed={EVIL: EVIL},
        columns=("file_name",),
        terms=EVIL,
        citation=EVIL,
    )
    card = readme(summary, {"verdict": EVIL, "yields": {EVIL: 0.5}, EVIL: EVIL})
    assert is_harmless(card)
    assert card.count("x1b") > 10
