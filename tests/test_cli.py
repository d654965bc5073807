"""The command line: what it hands on, what it says when things go wrong, and its exit codes."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import augface.cli.app  # noqa: F401  # before there are stand-ins, of which it is not to be made
from augface.cli import main
from augface.data.dataset import FaceDataset
from augface.errors import DataError, OutputError
from augface.registry import Registry
from augface.results import Evaluation, Measurement, Verdict


@pytest.fixture
def faces() -> FaceDataset:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    return FaceDataset.from_arrays(
        pixels,
        {"Eyeglasses": [True, *[False] * 6, None], "Male": [True, False] * 4},
        identity=[0, 0, 1, 1, 2, 2, 3, 3],
        split=["train"] * 5 + ["valid"] * 2 + ["test"],
        spec="stand-in",
    )


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation(
        verdict=Verdict(decision="no evidence", reason="A test."),
        measurements=[Measurement(evaluator="fidelity", name="kernel_distance", value=0.1, direction="lower")],
    )


class StandIns:
    """Modules that the commands call, replaced by ones that note their calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.generator = SimpleNamespace()
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def note(self, name: str, result: Any = None) -> Any:
        def function(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            if isinstance(result, BaseException):
                raise result
            return result

        return function

    def module(self, name: str, **members: Any) -> None:
        module = ModuleType(name)
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            module.__path__ = spec.submodule_search_locations
        for member, value in members.items():
            setattr(module, member, value)
        self._monkeypatch.setitem(sys.modules, name, module)

    def called(self, name: str) -> dict[str, Any]:
        (arguments,) = [kwargs for called, _, kwargs in self.calls if called == name]
        return arguments

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, faces: FaceDataset, evaluation: Evaluation) -> StandIns:
    """Everything heavy replaced, the working folder a temporary one."""
    monkeypatch.chdir(tmp_path)
    found = StandIns(monkeypatch)
    generators: Registry[Any] = Registry("generator", "augface.test.none")
    generators.register("cgan", "nowhere:Nothing", "a stand-in")
    evaluators: Registry[Any] = Registry("evaluator", "augface.test.none")
    evaluators.register("fidelity", "nowhere:Nothing", "a stand-in")
    evaluators.register("downstream", "nowhere:Nothing", "a stand-in")
    drawn = found.note("generator.map_samples", [faces])
    generator = found.generator = SimpleNamespace(
        source="synthetic",
        name="cgan",
        capabilities=frozenset({"trainable"}),
        fit=found.note("fit"),
        save=found.note("save"),
        sample=found.note("generator.sample", faces),
        map_samples=lambda work, n, **more: [(part, work(part)) for part in drawn(n, **more)],
    )
    outcome = SimpleNamespace(evaluation=evaluation, run_dir=Path("runs/x"), dataset_dir=Path("runs/x/dataset"))
    found.module(
        "augface.data", load_data=found.note("load_data", faces), preview_data=found.note("preview_data", faces)
    )
    found.module(
        "augface.generators",
        DEFAULT_GENERATOR="cgan",
        GENERATORS=generators,
        create_generator=found.note("create_generator", generator),
        load_generator=found.note("load_generator", generator),
    )
    found.module("augface.training.run", train_run=found.note("train_run", Path("here/generator")))
    found.module("augface.evaluators", EVALUATORS=evaluators)
    found.module(
        "augface.evaluation.evaluate", evaluate=found.note("evaluate", evaluation), choose_spaces=found.note("spaces")
    )
    found.module("augface.evaluation.inputs", open_faces=found.note("open_faces", (faces, faces, None, None)))
    found.module(
        "augface.rebalancing.rebalance",
        plan_rebalance=found.note("plan", SimpleNamespace(describe=lambda *, with_costs: "THE PLAN")),
        carry_out=found.note("carry_out", outcome),
    )
    found.module(
        "augface.report",
        render=lambda evaluation, real_images=True: f"<html>{real_images}</html>",
        terminal_summary=lambda evaluation, in_full=False: "THE SUMMARY",
    )
    return found


# Wrong words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rebalence"], 'Did you mean "rebalance"?'),
        (["rebalance", "--attr", "Eyeglasses", "--budgte", "5m"], "Did you mean --budget?"),
        (["rebalance", "--attr", "Eyeglasses", "--downstream", "frozn"], 'Did you mean "frozen"?'),
        (["rebalance", "--attr", "Eyeglasses", "--ratio", "half"], '"half"'),
        (["rebalance"], "--attr requires an argument"),
        (["rebalance", "--attr", "Eyeglasses", "--generator", "cgam"], "Did you mean 'cgan'?"),
        (["train", "--generator", "gcan", "--out", "x"], "Did you mean 'cgan'?"),
        (["evaluate", "a", "b", "--out", "x", "--evaluators", "fidelty"], "Did you mean 'fidelity'?"),
        (["data", "prge"], "Did you mean 'purge'?"),
        (["rebalance", "--attr", "Eyeglasses", "--budget", "long"], "'long'"),
        (["train", "--generator", "cgan", "--out", "x", "--budget", "0m"], "'0m'"),
        (["list", "generator"], 'Did you mean "generators"?'),
        (["train", "--generator", "cgan", "--out", "x", "--set", "latent"], "such as latent=128, not 'latent'"),
        (["train", "--generator", "cgan", "--out", "x", "--set", "a=1", "--set", "a=2"], "gives a twice: '1' and '2'"),
        (["sample", "g", "-n", "0", "--out", "x"], "not 0"),
        (["sample", "g", "-n", "3", "--out", "x", "--where", "Eyeglasses"], "such as Eyeglasses=1"),
        (["sample", "g", "-n", "3", "--out", "x", "--where", "Eyeglasses=maybe"], "'Eyeglasses=maybe'"),
    ],
)
def test_wrong_words_are_one_line_with_the_closest_right_one(
    words: list[str], said: str, stand_ins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    output = capsys.readouterr()
    assert said in output.err
    assert output.err.startswith("augface: error: ")
    assert output.err.count("\n") == 1
    assert not output.out
    assert stand_ins.names == [], "nothing was loaded or run"


# What goes wrong while a command runs


def run_and_fail(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *flags: str
) -> tuple[int, str]:
    def fail(words: list[str]) -> int:
        raise error

    monkeypatch.setattr("augface.cli.app.run", fail)
    code = main(["doctor", *flags])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [(DataError("no faces"), 3), (OutputError("no room"), 4)])
def test_an_error_for_people_is_its_text_and_its_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_and_fail(error, monkeypatch, capsys) == (code, f"augface: error: {error}\n")


@pytest.mark.parametrize("way", ["flag", "environment"])
def test_debug_adds_the_traceback(
    way: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if way == "environment":
        monkeypatch.setenv("AUGFACE_DEBUG", "1")
    code, said = run_and_fail(DataError("no faces"), monkeypatch, capsys, *(["--debug"] if way == "flag" else []))
    assert code == 3
    assert "Traceback" in said


def test_a_bug_shows_its_traceback_and_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run_and_fail(ZeroDivisionError("oops"), monkeypatch, capsys)
    assert code == 1
    assert "Traceback" in said
    assert "Please report it" in said


def test_a_full_disk_is_an_error_for_people_wherever_it_is_met(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run_and_fail(OSError(errno.ENOSPC, "No space left on device", "/x/y"), monkeypatch, capsys)
    assert (code, said.count("\n")) == (4, 1)
    assert "/x/y" in said


def test_interruption_of_a_run_says_what_is_kept_and_how_to_go_on(
    stand_ins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    sys.modules["augface.rebalancing.rebalance"].carry_out = stand_ins.note("carry_out", KeyboardInterrupt())  # type: ignore[attr-defined]
    assert main(["rebalance", "--attr", "Eyeglasses"]) == 130
    said = capsys.readouterr().err
    assert "runs/rebalance-Eyeglasses" in said
    assert "--resume" in said
    assert said.count("\n") == 1


def test_ctrl_c_ends_a_real_process_without_a_traceback() -> None:
    program = (
        "import signal, sys, time, augface.cli, augface.cli.app\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background job of a shell inherits deafness
        "def wait(words):\n    print('ready', flush=True)\n    time.sleep(30)\n"
        "augface.cli.app.run = wait\n"
        "sys.exit(augface.cli.main([]))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == b"augface: stopped.\n"


def test_a_closed_pipe_is_met_quietly() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys, augface.cli; sys.exit(augface.cli.main(['list', 'generators']))"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=20) == 141


def test_log_records_of_the_library_reach_people_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    from augface.cli.console import show_log_on_stderr

    show_log_on_stderr()
    show_log_on_stderr()
    logging.getLogger("augface.data").info("took %s for a folder", "x")
    logging.getLogger("augface").warning("few positives")
    logging.getLogger("augface").debug("detail")
    output = capsys.readouterr()
    assert output.err == "augface: took x for a folder\naugface: warning: few positives\n"
    assert not output.out


# rebalance


def test_rebalance_hands_on_every_option(stand_ins: StandIns, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "rebalance --attr Eyeglasses,Hat --attr Young --data folder:x --generator cgan --set latent=9 "
        "--set balance=Hat --ratio 0.5 --within Male --budget 200k --out here --size 32 --seed 7 --downstream full "
        "--network resnet18 --external-test folder:y --allow-identity-overlap --no-real-images"
    )
    assert main(words.split()) == 0
    of_generator = {"latent": "9", "balance": "Hat"}
    assert stand_ins.calls[0] == ("create_generator", ("cgan",), of_generator)  # wrong ones fail before data are read
    assert stand_ins.calls[1] == ("load_data", ("folder:x",), {"size": 32})
    planned = stand_ins.called("plan")
    assert planned.pop("external_test") is not None
    assert planned == {
        "attr": ["Eyeglasses", "Hat", "Young"],
        "generator": "cgan",
        "generator_settings": of_generator,
        "sampling_strategy": 0.5,
        "within": ["Male"],
        "budget": "200k",
        "seed": 7,
        "downstream": "full",
        "downstream_arms": "default",
        "network": "resnet18",
        "allow_identity_overlap": True,
    }
    (carried_out,) = [(args[1:], kwargs) for name, args, kwargs in stand_ins.calls if name == "carry_out"]
    assert carried_out == ((Path("here"),), {"resume": False, "real_images": False, "anyway": False, "loggers": ()})
    output = capsys.readouterr().out
    assert output.index("THE PLAN") < output.index("THE SUMMARY") < output.index("runs/x/dataset")
    assert os.path.join("runs", "x", "report.html") in output


def test_rebalance_has_defaults_for_all_but_the_attribute(stand_ins: StandIns) -> None:
    assert main(["rebalance", "--attr", "Eyeglasses", "--within", "Male"]) == 0
    assert stand_ins.calls[1] == ("load_data", ("toy",), {"size": 64})
    planned = stand_ins.called("plan")
    assert planned["sampling_strategy"] == "auto"
    assert planned["budget"] == "5m"
    assert planned["downstream"] == "frozen"
    assert planned["external_test"] is None
    assert planned["allow_identity_overlap"] is False
    (carried_out,) = [(args[1:], kwargs) for name, args, kwargs in stand_ins.calls if name == "carry_out"]
    assert carried_out == (
        (Path("runs/rebalance-Eyeglasses-within-Male"),),
        {"resume": False, "real_images": True, "anyway": False, "loggers": ()},
    )


def test_options_of_earlier_versions_are_taken_with_their_present_names(
    stand_ins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rebalance", "--attr", "Eyeglasses", "--outside=folder:y", "--shared-people"]) == 0
    planned = stand_ins.called("plan")
    assert planned["external_test"] is not None
    assert planned["allow_identity_overlap"] is True
    said = capsys.readouterr().err
    assert "--outside is called --external-test now" in said
    assert "--shared-people is called --allow-identity-overlap now" in said


def test_dry_run_plans_and_stops(stand_ins: StandIns, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rebalance", "--attr", "Eyeglasses", "--dry-run"]) == 0
    assert stand_ins.names == ["create_generator", "preview_data", "plan"]
    assert capsys.readouterr().out == "THE PLAN\n"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_name_from_an_attribute_cannot_leave_runs() -> None:
    from augface.cli.console import run_name

    assert run_name("rebalance", "../../x y") == "rebalance-.._.._x_y"


# Output folders


def fill(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "precious.txt").write_text("mine")


def test_a_folder_that_is_not_empty_is_refused_before_any_work(
    stand_ins: StandIns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "runs/rebalance-Eyeglasses")
    assert main(["rebalance", "--attr", "Eyeglasses"]) == 4
    said = capsys.readouterr().err
    assert "--resume" in said
    assert "--out" in said
    assert stand_ins.names == []


def test_resume_takes_a_folder_that_is_not_empty(stand_ins: StandIns, tmp_path: Path) -> None:
    place = tmp_path / "runs" / "rebalance-Eyeglasses"
    fill(place)
    assert main(["rebalance", "--attr", "Eyeglasses", "--resume"]) == 4, "it is no run"
    (place / "config.toml").touch()
    assert main(["rebalance", "--attr", "Eyeglasses", "--resume"]) == 0
    assert stand_ins.called("carry_out")["resume"] is True


@pytest.mark.parametrize(
    "words", ["evaluate a b --out full", "sample g -n 3 --out full", "train --generator cgan --out full"]
)
def test_no_command_writes_into_a_folder_that_is_not_empty(
    words: str, stand_ins: StandIns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "full")
    assert main(words.split()) == 4
    assert ("--resume" in capsys.readouterr().err) == words.startswith("train"), "only where the command can resume"
    assert stand_ins.names == []
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["precious.txt"]


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_file_in_the_place_of_the_output_folder_is_refused(
    out: str, stand_ins: StandIns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["evaluate", "a", "b", "--out", out]) == 4
    assert "is a file" in capsys.readouterr().err


# train, sample, evaluate, report


def test_train_fits_on_the_train_split(stand_ins: StandIns) -> None:
    words = "train --generator cgan --set latent=9 --data folder:x --budget 90s --seed 3 --out here --size 32"
    assert main(words.split()) == 0
    assert stand_ins.names == ["create_generator", "load_data", "train_run"]
    assert stand_ins.called("create_generator") == {"latent": "9"}
    generator, learnt, folder = stand_ins.calls[2][1]
    assert generator is stand_ins.generator
    assert len(learnt) == 5
    assert folder == Path("here")
    assert stand_ins.called("train_run") == {"budget": "90s", "resume": False, "seed": 3, "loggers": ()}


def test_sample_writes_faces_and_their_labels(stand_ins: StandIns, tmp_path: Path, faces: FaceDataset) -> None:
    words = ["sample", "g", "-n", "8", "--where", "Eyeglasses=1,Male=no", "--seed", "5", "--out", "made"]
    assert main(words) == 0
    asked = {"where": {"Eyeglasses": True, "Male": False}, "seed": 5, "psi": 1.0}
    assert stand_ins.calls[-1] == ("generator.map_samples", (8,), asked)
    table = pd.read_csv(tmp_path / "made/metadata.csv", dtype={"Eyeglasses": "Int8"})
    assert table["file_name"].tolist() == faces.names.tolist()
    assert table["Eyeglasses"].isna().tolist() == [False] * 7 + [True]
    assert table["Eyeglasses"].iloc[:2].tolist() == [1, 0]
    with Image.open(tmp_path / "made" / faces.names[3]) as opened:
        np.testing.assert_array_equal(np.asarray(opened), faces.images[3])


def test_sample_that_is_stopped_leaves_nothing(
    stand_ins: StandIns, tmp_path: Path, faces: FaceDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    def half(work: Callable[[FaceDataset], object], *args: Any, **kwargs: Any) -> Iterator[tuple[FaceDataset, object]]:
        yield faces, work(faces)
        raise KeyboardInterrupt

    stand_ins.generator.map_samples = half
    assert main(["sample", "g", "-n", "16", "--out", "made"]) == 130
    assert "nothing was written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_evaluate_reads_both_sides_at_one_size_and_writes_results_and_report(
    stand_ins: StandIns, tmp_path: Path, evaluation: Evaluation, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "evaluate celeba:r folder:f --train folder:t --evaluators fidelity,downstream --seed 4 --size 32 --out here"
    words += " --spaces pixels --by Male,Young"
    assert main([*words.split(), "--attr", "Smiling", "--no-real-images"]) == 0
    (opened,) = [(args, kwargs) for name, args, kwargs in stand_ins.calls if name == "open_faces"]
    assert opened == (("celeba:r", "folder:f", "folder:t"), {"size": 32, "seed": 4, "look": True})
    assert stand_ins.names.index("spaces") < stand_ins.names.index("open_faces")  # weights that are missing fail early
    handed_on = stand_ins.called("evaluate")
    assert handed_on["spaces"] == ["pixels"]
    assert handed_on["by"] == ["Male", "Young"]
    assert handed_on["evaluators"] == ["fidelity", "downstream"]
    assert handed_on["seed"] == 4
    assert handed_on["attr"] == ["Smiling"]
    assert handed_on["real_images"] is False
    assert Evaluation.from_json(tmp_path / "here/results.json") == evaluation
    assert (tmp_path / "here/report.html").read_text() == "<html>False</html>"
    assert "THE SUMMARY" in capsys.readouterr().out


@pytest.mark.parametrize("words", ["evaluate a b --out o", "sample g -n 3 --out o", "train --generator cgan --out o"])
def test_long_commands_estimate_their_cost_and_a_dry_run_writes_nothing(
    words: str, stand_ins: StandIns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words.split(), "--dry-run"]) == 0
    assert "Estimated: " in capsys.readouterr().out
    assert not {"evaluate", "train_run", "load_data"} & set(stand_ins.names)
    assert list(tmp_path.iterdir()) == []


def test_report_reads_a_run_folder_and_writes_beside_the_results(
    stand_ins: StandIns, tmp_path: Path, evaluation: Evaluation, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation.to_json(tmp_path / "run/results.json")
    assert main(["report", "run"]) == 0
    assert (tmp_path / "run/report.html").exists()
    assert main(["report", "run/results.json", "--out", "page.html", "--no-real-images"]) == 0
    assert (tmp_path / "page.html").read_text() == "<html>False</html>"
    assert "page.html" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, "not json", '{"schema": 1}', '{"schema": 99}', "[]"])
def test_report_of_something_else_is_an_error_and_writes_nothing(
    content: str | None, stand_ins: StandIns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    assert main(["report", "results.json", "--out", "page.html"]) == 3
    assert "results" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


# data


def test_data_shows_the_cache_and_purge_hands_on_its_limits(
    stand_ins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = SimpleNamespace(
        kind="images", key="abcdef", path=Path("x"), bytes=1_400_000, description="toy", last_used=time.time()
    )
    stand_ins.module(
        "augface.cache",
        entries=stand_ins.note("entries", [entry]),
        purgeable=stand_ins.note("purgeable", [entry]),
        purge=stand_ins.note("purge", 1_400_000),
    )
    assert main(["data"]) == 0
    assert "1.4 MB in 1 entries" in capsys.readouterr().out
    assert main(["data", "purge", "--kind", "images", "--older-than-days", "7", "--yes"]) == 0
    assert stand_ins.called("purge") == {"kind": "images", "older_than_days": 7}
    assert "1.4 MB freed" in capsys.readouterr().out


def test_data_show_counts_faces_splits_and_attributes(stand_ins: StandIns, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", "folder:x"]) == 0
    output = capsys.readouterr().out
    assert "8 faces of 16 x 16 pixels, 4 persons" in output
    assert "train 5, valid 2, test 1" in output
    (row,) = [line.split() for line in output.splitlines() if line.startswith("Eyeglasses")]
    assert row == ["Eyeglasses", "1", "14.3", "%", "1", "1", "0", "0"]


# The real thing


@pytest.mark.parametrize(
    "command",
    [
        "",
        "demo",
        "rebalance",
        "train",
        "sample",
        "vary",
        "edit",
        "evaluate",
        "report",
        "detect",
        "list",
        "data",
        "doctor",
    ],
)
def test_every_command_has_help_that_explains_each_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    lines = [line.strip("│ \n") for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    options = [line.lstrip("* ") for line in lines if line.lstrip("* ").startswith("--") and "--no-" not in line]
    assert options or command in ("list", "data", "doctor")
    assert all(len(line.split("  ", 1)) > 1 for line in options), options


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    import augface

    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == augface.__version__


def test_list_names_the_feature_spaces_with_their_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "features"]) == 0
    assert "efficientnet" in capsys.readouterr().out


def test_list_without_a_kind_lists_all_three(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    output = capsys.readouterr().out
    for name in ("generators:", "cgan", "evaluators:", "fidelity", "features:", "efficientnet"):
        assert name in output


def test_doctor_finds_nothing_to_do_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    output = capsys.readouterr().out
    for said in ("torch", "cores", "efficientnet", os.environ["AUGFACE_CACHE"], "All is fine."):
        assert said in output


def test_doctor_says_what_is_missing_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from importlib import metadata

    monkeypatch.setattr(metadata, "requires", lambda name: ["numpy>=999", "no-such-thing>=2", 'other; extra == "test"'])
    assert main(["doctor"]) == 3
    output = capsys.readouterr().out
    assert "pip install 'numpy>=999'" in output
    assert "pip install 'no-such-thing>=2'" in output
    assert "other" not in output


def test_doctor_goes_on_where_torch_cannot_be_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["doctor"]) == 3
    output = capsys.readouterr().out
    assert "Install torch again" in output
    assert "Cache" in output


@pytest.fixture
def messy_folders(tmp_path: Path) -> tuple[Path, Path]:
    """Pictures of many sizes and kinds, with what people leave lying among them."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    folders = tmp_path / "real", tmp_path / "fake"
    for folder in folders:
        folder.mkdir()
        for number in range(60):
            height, width = random.integers(20, 60, 2)
            picture = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
            picture.convert("L" if number % 7 == 0 else "RGB").save(
                folder / f"{number}.{'png' if number % 2 else 'jpg'}"
            )
        (folder / "broken.png").write_bytes(b"\x89PNG and no more")
        (folder / "notes.txt").write_text("not a picture")
    return folders


def test_two_messy_folders_are_measured_for_real(
    messy_folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, fake = map(str, messy_folders)
    assert main(["evaluate", real, fake, "--spaces", "pixels", "--out", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert "Kernel distance" in captured.out
    assert "Not measured: prdc" in captured.out
    assert "broken.png" in captured.err
    evaluation = Evaluation.from_json(tmp_path / "out" / "results.json")
    assert evaluation.select("fidelity", "kernel_distance")[0].protocol["input"] == "files in their own size"
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("evaluate empty real --out out", 3, "holds no images"),
        ("evaluate nowhere real --out out", 3, "no data set 'nowhere'"),
        ("evaluate real real --spaces inceptoin --out out", 2, "Did you mean 'inception'"),
        ("evaluate real real --spaces inception --out out", 3, "AUGFACE_INCEPTION_WEIGHTS"),
        ("evaluate real real --evaluators fidelty --out out", 2, "Did you mean 'fidelity'"),
        ("evaluate real real --by Hat --spaces pixels --out out", 3, "has no attribute labels"),
        ("evaluate real real --out real", 4, "is not empty"),
        ("evaluate real --out out", 2, "FAKE"),
    ],
)
def test_what_cannot_be_evaluated_is_said(
    words: str, code: int, said: str, messy_folders: tuple[Path, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main(words.split()) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "results.json").exists()
