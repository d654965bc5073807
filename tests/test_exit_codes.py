"""Every command ends every class of error with its own exit code (2 to 5, augface.errors) and one line."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from example_results import realistic_evaluation
from PIL import Image

from augface.cli import Terminated, main
from augface.cli.app import COMMANDS

FITTED = "--generator resample --size 16"
CASES = [
    ("rebalance --data faces", 2),
    ("rebalance --attr Glasses --data faces --ratio much", 2),
    ("rebalance --attr Glasses --data nowhere", 3),
    ("rebalance --attr Glasses --data faces/0.png", 3),
    ("rebalance --attr Hat --data faces", 2),
    ("rebalance --attr Glasses --data faces --out taken", 4),
    ("rebalance --attr Glasses --data faces --out letter", 4),
    ("demo --budget soon", 2),
    ("demo --out taken", 4),
    (f"train {FITTED} --data faces --out o --colour red", 2),
    ("train --generator resmaple --data faces --out o", 2),
    (f"train {FITTED} --data faces --out o --set noise=3", 2),
    (f"train {FITTED} --data nowhere --out o", 3),
    (f"train {FITTED} --data broken.zip --out o", 3),
    (f"train {FITTED} --data faces --out taken", 4),
    (f"train {FITTED} --data faces --out letter/below", 4),
    ("sample generator -n none --out o", 2),
    ("sample generator -n 2 --where Glasses --out o", 2),
    ("sample nowhere -n 2 --out o", 3),
    ("sample faces -n 2 --out o", 3),
    ("sample generator -n 2 --out taken", 4),
    ("vary generator faces/0.png --distance 2 --out o", 2),
    ("vary generator nowhere.png --out o", 3),
    ("vary generator faces/0.png --out taken", 4),
    ("edit generator --attr Hat --out o", 2),
    ("edit generator letter --attr Glasses --out o", 3),
    ("edit generator --attr Glasses --out taken", 4),
    ("play generator --port 0", 2),
    ("play nowhere --export o.html", 3),
    ("play generator --export taken.html", 4),
    ("inspect generator --out o.html", 2),
    ("inspect nowhere --out o.html", 3),
    ("inspect generator --out taken", 4),
    ("evaluate faces --out o", 2),
    ("evaluate faces faces --evaluators fidelty --out o", 2),
    ("evaluate faces nowhere --spaces pixels --out o", 3),
    ("evaluate faces taken --spaces pixels --out o", 3),
    ("evaluate faces faces --spaces pixels --out taken", 4),
    ("fid faces", 2),
    ("fid faces nowhere --metric kernel_distance --space pixels", 3),
    ("report", 2),
    ("report results --page o.html", 2),
    ("report nowhere", 3),
    ("report letter", 3),
    ("report results --out taken", 4),
    ("report results --out letter/page.html", 4),
    ("compare results", 2),
    ("compare results results", 2),
    ("compare results nowhere", 3),
    ("compare results letter", 3),
    ("compare results other --out taken.html", 4),
    ("check results", 2),
    ("check results --fail-if effect", 2),
    ("check results --fail-if effcet<0", 2),
    ("check nowhere --fail-if effect<0", 3),
    ("check results --fail-if copied>0", 3),
    ("check results --fail-if effect<0 --junit taken", 4),
    ("check results --fail-if effect<9", 5),
    ("align --out o", 2),
    ("align nowhere.png --out o", 3),
    ("align faces/0.png --out taken", 4),
    ("detect faces/0.png --detector faces --prior 7", 2),
    ("detect --detector faces", 2),
    ("detect faces/0.png --detector nowhere", 3),
    ("detect faces/0.png --detector taken", 3),
    ("list weights", 2),
    ("doctor all", 2),
    ("data purge --kind pictures", 2),
    ("data purge", 2),
    ("data show nowhere", 3),
    ("data verify --all", 2),
]
"""Words, and the exit code that they end with. That `data verify` ends with 3 is tested in tests/test_cache.py."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with something of everything that commands read."""
    folder = tmp_path_factory.mktemp("place")
    random = np.random.default_rng(0)
    (folder / "faces").mkdir()
    for number in range(30):
        pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "faces" / f"{number}.png")
    rows = "".join(f"{number}.png,{int(number % 3 == 0)}\n" for number in range(30))
    (folder / "faces" / "metadata.csv").write_text(f"file_name,Glasses\n{rows}")
    for name in ("results", "other"):
        (folder / name).mkdir()
        realistic_evaluation().to_json(folder / name / "results.json")
    (folder / "letter").write_text("dear reader")
    (folder / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    for name in ("taken", "taken.html"):
        (folder / name).mkdir()
        (folder / name / "note").write_text("of somebody")
    words = ["train", *FITTED.split(), "--data", str(folder / "faces"), "--out", str(folder / "run")]
    assert main(words) == 0
    (folder / "run" / "generator").rename(folder / "generator")
    return folder


@pytest.mark.parametrize(("words", "code"), CASES)
def test_what_is_wrong_is_an_exit_code_and_one_line(
    words: str, code: int, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    assert main(words.split()) == code
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("augface: error: ")] == said[-1:]
    assert not any("Traceback" in line for line in said)
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before, "nothing is written"


def test_every_command_is_tried_with_every_class_of_error_that_it_can_meet() -> None:
    met = {name: {code for words, code in CASES if words.split()[0] == name} for name in [*COMMANDS, "data"]}
    both = {
        "rebalance",
        "train",
        "sample",
        "vary",
        "edit",
        "inspect",
        "play",
        "evaluate",
        "report",
        "compare",
        "check",
        "align",
    }
    reading, writing = both | {"fid", "detect", "data"}, both | {"demo"}
    codes = {name: {2, *[3] * (name in reading), *[4] * (name in writing), *[5] * (name == "check")} for name in met}
    assert met == codes


@pytest.mark.parametrize("name", [*COMMANDS, "data"])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ZeroDivisionError("oops"), 1),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 4),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/x"), 4),
        (KeyboardInterrupt(), 130),
        (Terminated(), 143),
    ],
)
def test_what_can_happen_to_any_command(
    name: str, error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object) -> NoReturn:
        raise error

    monkeypatch.setattr("augface.cli.app.app", fail)
    assert main([name]) == code
    said = capsys.readouterr().err
    assert ("Traceback" in said) == (code == 1)
    assert code == 1 or said.count("\n") == 1


@pytest.mark.parametrize("name", ["rebalance", "train", "sample", "evaluate"])
def test_what_a_seed_promises_is_said_with_threads(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert "OMP_NUM_THREADS" in capsys.readouterr().out


# Results that somebody changed

VALUES: tuple[Any, ...] = (
    1e308,
    -1e308,
    10**400,
    float("nan"),
    float("inf"),
    -1,
    None,
    "",
    "\x1b[2J",
    [],
    {},
    [[1e308]],
    {"a": {"b": 1}},
)


def places(content: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in JSON, through the first two of each list."""
    yield way
    items = (
        content.items() if isinstance(content, dict) else enumerate(content[:2]) if isinstance(content, list) else ()
    )
    for key, value in items:
        yield from places(value, (*way, key))


def changed(content: Any, way: tuple[Any, ...], value: Any) -> Any:
    if not way:
        return value
    copy = dict(content) if isinstance(content, dict) else list(content)
    copy[way[0]] = changed(content[way[0]], way[1:], value)
    return copy


@pytest.mark.parametrize("seed", range(12))
def test_results_with_any_value_in_any_place_are_shown_or_refused(
    seed: int, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(seed)
    content = json.loads((place / "results" / "results.json").read_text())
    ways = list(places(content))
    file = tmp_path / "results.json"
    file.write_text(json.dumps(changed(content, ways[random.integers(len(ways))], VALUES[seed % len(VALUES)])))
    for words in (["report", file], ["compare", file, place / "other", "--all", "--out", tmp_path / "table.csv"]):
        code = main(list(map(str, words)))
        said = capsys.readouterr().err
        assert code in (0, 3)
        assert "Traceback" not in said
        assert said.count("augface: error: ") == (code == 3)


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"null", b'{"schema": 2'])
@pytest.mark.parametrize("name", ["results/results.json", "generator/config.json", "generator/weights.safetensors"])
def test_damaged_files_are_input_that_cannot_be_used(
    name: str, content: bytes, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(place / name.partition("/")[0], tmp_path / "damaged")
    (tmp_path / "damaged" / Path(name).name).write_bytes(content)
    words = ["report"] if name.startswith("results") else ["sample", "-n", "1", "--out", str(tmp_path / "out")]
    assert main([*words, str(tmp_path / "damaged")]) == 3
    said = capsys.readouterr().err
    assert (said.count("\n"), said[:16]) == (1, "augface: error: ")
