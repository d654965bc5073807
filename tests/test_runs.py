"""A run folder is held by one process; its stages are kept as they were made, and none is lost or taken for another."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from augface import locks
from augface.data.dataset import FaceDataset
from augface.data.toyfaces import load_toyfaces
from augface.errors import DataError, OutputError, UsageError
from augface.files import LOCK, content_hash
from augface.generators import create_generator
from augface.locks import locked
from augface.processes import is_main_process, world_size
from augface.runs import Run, RunSettings, open_run
from augface.training.run import train_run

SETTINGS: dict[str, Any] = {"data": "toy", "data_hash": "0" * 64, "size": 16, "generator": {"name": "x"}, "threads": 1}


def settings(**changed: Any) -> RunSettings:
    return RunSettings(**{**SETTINGS, **changed})


# Locks

HOLD = """
import sys, time
from pathlib import Path
from augface.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the folder `run`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_is_held_by_one_process_and_free_when_that_is_killed(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    with (
        pytest.raises(OutputError, match=rf"is in use by process {holder.pid} since \d.* on .*\. Wait for it, stop it"),
        locked(tmp_path / "run"),
    ):
        raise AssertionError("two are in")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / LOCK).exists()
    with locked(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / LOCK).read_text())["process"] == os.getpid()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_block_holds_what_the_block_around_it_holds(tmp_path: Path) -> None:
    with locked(tmp_path):
        with locked(tmp_path / "." / "x" / ".."):
            assert (tmp_path / LOCK).exists()
        assert (tmp_path / LOCK).exists(), "the outer block holds it still"
        refused = []

        def hold() -> None:
            try:
                with locked(tmp_path):
                    pass
            except OutputError as error:
                refused.append(error)

        thread = threading.Thread(target=hold)
        thread.start()
        thread.join()
        assert len(refused) == 1, "another thread is another job"
    assert not (tmp_path / LOCK).exists()


def test_an_error_in_the_block_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locked(tmp_path):
        raise KeyboardInterrupt
    with locked(tmp_path):
        pass


def test_a_lock_of_another_host_is_honoured_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where hosts share a disk, the system of one may know nothing of the locks of the other."""
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "node-7")
        signature = locks._signature()
    (tmp_path / LOCK).write_text(signature)
    with (
        pytest.raises(OutputError, match=rf"on node-7, or was when .* If it has ended, delete {tmp_path / LOCK}"),
        locked(tmp_path),
    ):
        raise AssertionError("two are in")
    assert (tmp_path / LOCK).read_text() == signature
    (tmp_path / LOCK).unlink()
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"process": "x"}', "[" * 100_000])
def test_a_lock_that_says_nothing_is_that_of_a_process_that_was_killed(content: str, tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(content)
    with locked(tmp_path):
        assert "process" in (tmp_path / LOCK).read_text()


@pytest.mark.parametrize("system", ["no locks", "no locks on this disk"])
def test_where_the_system_has_no_locks_the_file_is_believed(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if system == "no locks":
        monkeypatch.setattr(locks, "fcntl", None)
    else:

        def fail(*_: Any) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(locks.fcntl, "flock", fail)
    with locked(tmp_path):
        signature = (tmp_path / LOCK).read_text()
    assert not (tmp_path / LOCK).exists()
    (tmp_path / LOCK).write_text(signature)
    with pytest.raises(OutputError, match="If it has ended, delete"), locked(tmp_path):
        raise AssertionError("two are in")


def test_of_many_that_want_a_folder_one_at_a_time_is_in(tmp_path: Path) -> None:
    """Also while others delete the file of the lock, because they are through."""
    inside, most, done = [0], [0], []

    def work() -> None:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            try:
                with locked(tmp_path):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    done.append(1)
                    inside[0] -= 1
            except OutputError:
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert len(done) > 20


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Cannot write"), locked(tmp_path / "file" / "below"):
        raise AssertionError("it was held")


@pytest.mark.parametrize(
    ("variables", "size", "main"),
    [({}, 1, True), ({"WORLD_SIZE": "4", "RANK": "2"}, 4, False), ({"WORLD_SIZE": "x", "RANK": ""}, 1, True)],
)
def test_processes_of_a_job(variables: dict[str, str], size: int, main: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (world_size(), is_main_process()) == (size, main)


# Stages

PLACES = ("generator", "checkpoints/filters", "results.json")


class Job:
    """Three stages, each of what the one before wrote; counts what is made."""

    def __init__(self, content: str = "a") -> None:
        self.content = content
        self.made: list[str] = []

    def run(self, folder: Path, *, resume: bool = True, stop_at: str = "", **changed: Any) -> str:
        text = self.content
        with open_run(folder, settings(**changed), resume=resume) as run:
            for place in PLACES:
                output = run.stage(place, f"making {place}", partial(self.make, place, text, stop_at))
                text = (output if output.is_file() else output / "file").read_text()
        return text

    def make(self, place: str, text: str, stop_at: str, path: Path) -> None:
        if path.suffix:
            path.write_text(f"{text} {place}")
        else:
            path.mkdir()
            (path / "file").write_text(f"{text} {place}")
            (path / "card").write_text("not measured")
        if place == stop_at:
            raise KeyboardInterrupt
        self.made.append(place)


@pytest.mark.parametrize("stop_at", PLACES)
def test_a_run_that_was_stopped_makes_what_is_missing_and_no_more(stop_at: str, tmp_path: Path) -> None:
    whole = Job().run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        Job().run(tmp_path / "run", stop_at=stop_at)
    job = Job()
    assert job.run(tmp_path / "run") == whole
    assert job.made == list(PLACES[PLACES.index(stop_at) :])
    assert content_hash(tmp_path / "run" / "generator") == content_hash(tmp_path / "whole" / "generator")
    again = Job()
    assert again.run(tmp_path / "run") == whole
    assert again.made == []
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("place", PLACES)
def test_what_this_run_did_not_make_is_refused(place: str, tmp_path: Path) -> None:
    Job().run(tmp_path / "run")
    output = tmp_path / "run" / place
    file = output if output.is_file() else output / "file"
    file.write_text("another's")
    job = Job()
    with pytest.raises(DataError, match=f"{file.parent.name}.* is not what this run wrote there: .* --resume makes it"):
        job.run(tmp_path / "run")
    assert job.made == []
    assert file.read_text() == "another's", "nothing is deleted that is not known"
    output.rename(tmp_path / "away")
    assert job.run(tmp_path / "run")
    assert job.made == [place], "the others are of the same inputs still"


def test_what_lies_there_before_a_stage_was_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Job().run(tmp_path / "run", stop_at="generator")
    (tmp_path / "run" / "generator").mkdir()
    (tmp_path / "run" / "generator" / "file").write_text("another's")
    with pytest.raises(DataError, match="generator is not of this run"):
        Job().run(tmp_path / "run")


def test_what_comes_after_a_stage_that_is_made_again_otherwise_is_made_again_too(tmp_path: Path) -> None:
    Job().run(tmp_path / "run")
    (tmp_path / "run" / "generator").rename(tmp_path / "away")
    job = Job("other content")
    assert job.run(tmp_path / "run").startswith("other content")
    assert job.made == list(PLACES)


def test_names_of_files_are_part_of_an_output(tmp_path: Path) -> None:
    Job().run(tmp_path / "run")
    (tmp_path / "run" / "generator" / "file").rename(tmp_path / "run" / "generator" / "elif")
    with pytest.raises(DataError, match="is not what this run wrote"):
        Job().run(tmp_path / "run")


def test_what_later_stages_may_change_may_change(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", settings(), resume=False) as run:
        run.stage("set", "writing", partial(Job().make, "set", "a", ""), changing=["card"])
        (tmp_path / "run" / "set" / "card").write_text("measured")
        assert run.has("set", whatever_inputs=True, changing=["card"])
        with pytest.raises(DataError, match="is not what"):
            run.has("set", whatever_inputs=True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": 1}, r"seed changed since \(was 0, is 1\)\. Change back, or choose another folder\."),
        ({"data_hash": "1" * 64}, r"data_hash changed since\. Change back"),
        ({"threads": 2}, r"threads changed since \(was 1, is 2\)\. Set OMP_NUM_THREADS=1 to go on with it\."),
        ({"augface": "9"}, r"augface changed since \(was .*, is 9\)\. Install augface \d.* to go on with it\."),
        ({"generator": {"name": "y"}}, r"generator\.name changed since \(was x, is y\)"),
        ({"generator": {"name": "x", "latent": 3}}, r"generator\.latent changed since \(was not given, is 3\)"),
    ],
)
def test_changed_settings_are_said_with_what_to_do(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    Job().run(tmp_path / "run")
    with pytest.raises(UsageError, match=rf"^Cannot resume {tmp_path / 'run'}: {said}") as caught:
        Job().run(tmp_path / "run", **changed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["config.toml", "checkpoints/stages.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", '{"generator": 1}', "[" * 100_000, "\x00"])
def test_damaged_records_are_told(name: str, content: str, tmp_path: Path) -> None:
    Job().run(tmp_path / "run")
    (tmp_path / "run" / name).write_text(content)
    if name == "config.toml" and not content:
        with pytest.raises(UsageError, match="changed since"):
            Job().run(tmp_path / "run")
        return
    with pytest.raises(DataError, match=f"{Path(name).name} is damaged.*Start anew in another folder"):
        Job().run(tmp_path / "run")


def test_a_folder_of_something_else_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "letter").touch()
    for resume in (True, False):
        with pytest.raises(OutputError, match="is not empty"):
            Job().run(tmp_path, resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


# Kills

KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import augface.runs, augface.files
from test_runs import MOMENTS, PLACES, Job, Path, place_of_kill

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def at_place(function, which):
    def dying(path, *arguments, **named):
        if which(Path(path)):
            die()
        return function(path, *arguments, **named)
    return dying

def run_and_die(place, moment, folder):
    if moment == "while it is made":
        make = Job.make
        def dying(self, now, text, stop_at, path):
            make(self, now, text, stop_at, path)
            if now == place:
                die()
        Job.make = dying
    elif moment == "before its record":
        seen = []
        augface.runs.atomic_write = at_place(augface.runs.atomic_write, lambda path: path.name == "stages.json" and (
            seen.append(1) or len(seen) == 1 + PLACES.index(place)))
    elif moment == "before it has its name":
        Path.replace = at_place(Path.replace, lambda path: path.name == Path(place).name)
    else:
        Path.replace_ = Path.replace
        def replace(self, target):
            Path.replace_(self, target)
            if Path(target).name == Path(place).name:
                die()
        Path.replace = replace
    Job().run(folder)

for place in PLACES:
    for moment in MOMENTS:
        child = os.fork()
        if not child:
            run_and_die(place, moment, place_of_kill(Path(sys.argv[2]), place, moment))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, (place, moment)
"""
MOMENTS = ("while it is made", "before its record", "before it has its name", "when it has its name")


def place_of_kill(folder: Path, place: str, moment: str) -> Path:
    return folder / f"{PLACES.index(place)}-{MOMENTS.index(moment)}"


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What processes left that killed themselves (SIGKILL) at each moment of each stage: forks of one, for speed."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(folder)]
    subprocess.run(command, check=True)
    return folder


@pytest.mark.parametrize("place", PLACES)
def test_a_kill_in_a_stage_loses_that_stage_at_most(place: str, killed: Path, tmp_path: Path) -> None:
    whole = Job().run(tmp_path / "whole")
    for moment in MOMENTS:
        folder = place_of_kill(killed, place, moment)
        job = Job()
        assert job.run(folder) == whole
        lost = PLACES[PLACES.index(place) + (moment == "when it has its name") :]
        assert job.made == list(lost), moment
        files = {path.relative_to(folder) for path in folder.rglob("*")}
        assert files == {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*")}


def test_a_kill_before_anything_is_written_leaves_a_folder_to_start_in(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).write_text("")
    assert Job().run(tmp_path / "run", resume=False)


def test_only_the_process_that_holds_it_is_in_a_run(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(OutputError, match="is in use by process"):
        Job().run(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]


def test_others_of_the_same_job_see_what_is_done(tmp_path: Path) -> None:
    assert not Run(tmp_path / "run", settings(), resumed=False).has("generator")
    Job().run(tmp_path / "run")
    assert Run(tmp_path / "run", settings(), resumed=True).has("generator")


# Trainings


@pytest.fixture(scope="module")
def faces() -> FaceDataset:
    return load_toyfaces(40, 16)


def train(faces: FaceDataset, folder: Path, **more: Any) -> Path:
    return train_run(create_generator("resample"), faces, folder, **more)


def test_a_finished_training_is_kept(faces: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = train(faces, tmp_path / "run")
    before = content_hash(place)
    monkeypatch.setattr("augface.generators.resample.Resample.fit", None)  # any work would fail
    assert content_hash(train(faces, tmp_path / "run", resume=True)) == before
    with pytest.raises(OutputError, match="not empty"):
        train(faces, tmp_path / "run")


def test_a_training_is_bound_to_its_data_and_settings(faces: FaceDataset, tmp_path: Path) -> None:
    train(faces, tmp_path / "run")
    with pytest.raises(UsageError, match="data_hash changed since"):
        train(load_toyfaces(40, 16, seed=1), tmp_path / "run", resume=True)
    with pytest.raises(UsageError, match=r"seed changed since \(was 0, is 1\)"):
        train(faces, tmp_path / "run", seed=1, resume=True)
    train(faces, tmp_path / "other", seed=1)
    shutil.rmtree(tmp_path / "run" / "generator")
    shutil.copytree(tmp_path / "other" / "generator", tmp_path / "run" / "generator")
    (tmp_path / "run" / "generator" / "config.json").write_text("{}")
    with pytest.raises(DataError, match="is not what this run wrote there"):
        train(faces, tmp_path / "run", resume=True)


def test_another_process_cannot_train_in_the_same_folder(
    faces: FaceDataset, tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(OutputError, match="is in use by process"):
        train(faces, tmp_path / "run", resume=True)
    cgan = create_generator("cgan", channels=4, latent=4, batch_size=8)
    with pytest.raises(OutputError, match="is in use by process"):
        cgan.fit(faces, budget="16", run_dir=tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]
