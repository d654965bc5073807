"""Data at an address: read as those in a folder are, copied once and file by file, and refused in one line else."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import numpy as np
import pytest
from fsspec.exceptions import FSTimeoutError
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from augface.cache import entries, purge
from augface.cli import main
from augface.data import load_data, preview_data, recognise, remote
from augface.data.dataset import FaceDataset
from augface.data.export.shards import write_shards
from augface.errors import AugfaceError, DataError, OutputError, UnknownNameError, UsageError, require

COUNT, SIZE = 12, 16
BUCKET = "memory://bucket/faces"


@pytest.fixture(autouse=True)
def _empty(own_cache: Path) -> Iterator[None]:
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A folder of faces with labels, and with a file that no reader opens."""
    folder = tmp_path / "faces"
    random = np.random.default_rng(0)
    for number in range(COUNT):
        (folder / "some more").mkdir(parents=True, exist_ok=True)
        place = folder / "some more" / f"{number:02d}.png" if number % 3 else folder / f"{number:02d}.png"
        Image.fromarray(random.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(place)
    rows = [f"{'some more/' if number % 3 else ''}{number:02d}.png,{number % 2}\n" for number in range(COUNT)]
    (folder / "metadata.csv").write_text("file_name,Eyeglasses\n" + "".join(rows))
    (folder / "labels.npy").write_bytes(b"never opened")
    return folder


@pytest.fixture
def bucket(faces: Path) -> MemoryFileSystem:
    """The same at `BUCKET`."""
    system = fsspec.filesystem("memory")
    system.put(f"{faces}/", "/bucket/faces/", recursive=True)
    return system


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are copied, in a list that grows."""
    names: list[str] = []
    hook(monkeypatch, lambda path: names.append(path.rpartition("/")[2]))
    return names


def hook(monkeypatch: pytest.MonkeyPatch, before: Callable[[str], object]) -> None:
    """Do something before each file is copied."""
    get_file = MemoryFileSystem.get_file

    def hooked(self: MemoryFileSystem, rpath: str, lpath: str, **options: Any) -> None:
        before(rpath)
        get_file(self, rpath, lpath, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", hooked)


def same(first: FaceDataset, second: FaceDataset) -> bool:
    return (
        first.source.content_hash == second.source.content_hash
        and np.array_equal(first.images, second.images)
        and first.names.tolist() == second.names.tolist()
        and first.attributes.equals(second.attributes)
    )


# What is read


def test_an_address_is_read_as_the_folder_is(
    faces: Path, bucket: MemoryFileSystem, fetched: list[str], caplog: pytest.LogCaptureFixture, own_cache: Path
) -> None:
    caplog.set_level(logging.INFO)
    here = load_data(faces, size=SIZE)
    caplog.clear()
    for spec in (f"folder:{BUCKET}", BUCKET, f"{BUCKET}/", Path(BUCKET), Path(f"folder:{BUCKET}")):
        there = load_data(spec, size=SIZE)
        assert same(there, here)
        assert there.source.spec == f"folder:{BUCKET}", "what a report names and a run is resumed with"
    assert same(preview_data(BUCKET, size=SIZE), preview_data(faces, size=SIZE))
    assert sorted(fetched) == sorted([f"{number:02d}.png" for number in range(COUNT)] + ["metadata.csv"]), "once each"
    assert f"{BUCKET}: 1 files that may hold labels or a split are not read (labels.npy)" in caplog.text
    assert str(own_cache) not in caplog.text


def test_all_kinds(tmp_path: Path, faces: Path) -> None:
    toy = load_data("toy:20", size=SIZE)
    system = fsspec.filesystem("memory")
    for kind, form in (("hf", "parquet"), ("wds", "webdataset")):
        write_shards(toy, tmp_path / kind, format=form, shard=10)  # type: ignore[arg-type]
        system.put(f"{tmp_path / kind}/", f"/shards/{kind}/", recursive=True)
        for spec in (f"{kind}:memory://shards/{kind}", f"memory://shards/{kind}"):
            there = load_data(spec, size=SIZE)
            assert same(there, load_data(tmp_path / kind, size=SIZE))
            assert there.source.spec == f"{kind}:memory://shards/{kind}"
    (faces / "some more").rename(tmp_path / "img_align_celeba")
    celeba = tmp_path / "run" / "celeba"
    celeba.mkdir(parents=True)
    (tmp_path / "img_align_celeba").rename(celeba / "img_align_celeba")
    names = sorted(path.name for path in (celeba / "img_align_celeba").iterdir())
    (celeba / "list_attr_celeba.txt").write_text(f"{len(names)}\nMale\n" + "".join(f"{name} 1\n" for name in names))
    system.put(f"{tmp_path / 'run'}/", "/run/", recursive=True)
    for spec in ("celeba:memory://run/celeba", "memory://run"):
        there = load_data(spec, size=SIZE)
        assert same(there, load_data(f"celeba:{celeba}", size=SIZE))
        assert there.source.spec == "celeba:memory://run/celeba"


def test_files_of_this_machine_are_not_copied(faces: Path, own_cache: Path) -> None:
    for spec in (f"file://{faces}", f"folder:file://{faces}"):
        assert load_data(spec, size=SIZE).source.spec == f"folder:{faces}"
    assert not (own_cache / "remote").exists()


def test_on_the_command_line(bucket: MemoryFileSystem, capsys: pytest.CaptureFixture[str], own_cache: Path) -> None:
    main(["data", "show", BUCKET, "--size", "16"])
    assert f"folder:{BUCKET}: 12 faces of 16 x 16 pixels" in capsys.readouterr().out
    main(["data"])
    said = capsys.readouterr().out
    assert "remote: " in said
    assert f"copy of {BUCKET}, 14 files" in said
    assert main(["data", "show", "memory://bucket/nothing"]) == DataError.exit_code
    assert "There is nothing at memory://bucket/nothing" in capsys.readouterr().err


def test_a_generator_of_images_takes_an_address(bucket: MemoryFileSystem, faces: Path) -> None:
    from augface.generators import create_generator

    generator = create_generator("images", path=BUCKET)
    generator.fit(load_data(faces, size=SIZE))
    assert generator.available() == COUNT


# When it is copied


def test_what_changed_is_copied_again_and_what_is_gone_is_removed(
    faces: Path, bucket: MemoryFileSystem, fetched: list[str]
) -> None:
    load_data(BUCKET, size=SIZE)
    fetched.clear()
    Image.new("RGB", (20, 20), "red").save(faces / "00.png")
    (faces / "03.png").unlink()
    bucket.put_file(faces / "00.png", "/bucket/faces/00.png")
    bucket.rm("/bucket/faces/03.png")
    assert same(load_data(BUCKET, size=SIZE), load_data(faces, size=SIZE))
    assert fetched == ["00.png"]


def test_a_folder_becomes_a_file_and_a_folder_again(faces: Path, bucket: MemoryFileSystem) -> None:
    here = load_data(faces, size=SIZE)
    archive = Path(shutil.make_archive(str(faces.parent / "packed"), "zip", faces)).read_bytes()
    for _ in range(2):
        assert same(load_data(BUCKET, size=SIZE), here)
        bucket.rm("/bucket/faces", recursive=True)
        bucket.pipe("/bucket/faces", archive)
        assert load_data(f"folder:{BUCKET}", size=SIZE).source.content_hash == here.source.content_hash
        bucket.rm("/bucket/faces")
        bucket.put(f"{faces}/", "/bucket/faces/", recursive=True)


def test_a_copy_that_was_damaged_is_made_again(bucket: MemoryFileSystem, fetched: list[str], own_cache: Path) -> None:
    here = load_data(BUCKET, size=SIZE)
    fetched.clear()
    (copied,) = own_cache.glob("remote/*/copy/faces/00.png")
    content = copied.read_bytes()
    copied.write_bytes(bytes(len(content)))
    (own_cache / "remote" / copied.parts[-4] / "copy/faces/stray.png").write_bytes(content)
    assert same(load_data(BUCKET, size=SIZE), here)
    assert fetched == ["00.png"]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals of threads on Windows")
def test_ctrl_c_keeps_what_was_copied(
    faces: Path, bucket: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    seen: list[str] = []
    copies: list[remote._Fetching] = []
    begin = remote._Fetching.__init__

    def begun(self: remote._Fetching, *given: Any) -> None:
        begin(self, *given)
        copies.append(self)

    monkeypatch.setattr(remote._Fetching, "__init__", begun)

    def interrupt(path: str) -> None:
        seen.append(path)
        if len(seen) == 5:
            signal.pthread_kill(require(threading.main_thread().ident), signal.SIGINT)
            assert copies[0].stop.wait(20)

    monkeypatch.setattr(remote, "AT_ONCE", 1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which the workers of pytest-xdist ignore
    try:
        with monkeypatch.context() as patch:
            hook(patch, interrupt)
            with pytest.raises(KeyboardInterrupt):
                load_data(BUCKET, size=SIZE)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not list(own_cache.rglob("*.partial"))
    assert [entry.description for entry in entries()] == [f"copy of {BUCKET}, unfinished"]
    done = set(seen[:4])
    assert not (own_cache / "images").exists()
    again: list[str] = []
    hook(monkeypatch, again.append)
    assert same(load_data(BUCKET, size=SIZE), load_data(faces, size=SIZE))
    assert len(again) == COUNT + 1 - 4
    assert not done & set(again)


def test_a_large_file_is_left_when_another_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that are in the middle of a file end at its next piece."""
    monkeypatch.setattr(MemoryFileSystem, "blocksize", 1)
    bucket = fsspec.filesystem("memory")
    bucket.pipe({"/bucket/faces/a.png": b"x" * 1000, "/bucket/faces/b.png": b"x"})
    begun, pieces = threading.Event(), []

    def slow(self: Any, inc: int = 1) -> None:
        pieces.append(inc)
        begun.set()
        self._fetching.stop.wait(20)
        self._fetching.count(inc)

    def fail(path: str) -> None:
        if path.endswith("b.png"):
            begun.wait(20)
            raise OSError("broken pipe")

    monkeypatch.setattr(remote._Watch, "relative_update", slow)
    hook(monkeypatch, fail)
    with pytest.raises(DataError, match=r"^Cannot read b\.png of memory://bucket/faces: broken pipe\."):
        load_data(BUCKET)
    assert len(pieces) == 1


def test_a_change_during_the_copy_is_noticed(
    bucket: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, faces: Path
) -> None:
    changed: list[str] = []
    Image.new("RGB", (20, 20), "red").save(faces / "00.png")

    def change(path: str) -> None:
        if not changed:
            changed.append(path)
            bucket.put_file(faces / "00.png", "/bucket/faces/some more/99.png")

    hook(monkeypatch, change)
    with pytest.raises(
        DataError, match=r"changed while it was copied \(some more/99\.png\)\. Run the same command again"
    ):
        load_data(BUCKET, size=SIZE)
    assert len(load_data(BUCKET, size=SIZE)) == COUNT + 1


@pytest.mark.parametrize("content", [b"short", b"x" * 100_000])
def test_a_file_of_another_length_than_it_says_is_no_copy(
    content: bytes, bucket: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    hook(monkeypatch, lambda path: bucket.pipe(path, content) if path.endswith("00.png") else None)
    with pytest.raises(DataError, match="has another length than its file system says"):
        load_data(BUCKET, size=SIZE)
    assert not list(own_cache.glob("remote/*/copy/faces/00.png"))


def test_purge_deletes_copies_and_nothing_else(bucket: MemoryFileSystem, own_cache: Path) -> None:
    load_data(BUCKET, size=SIZE)
    (folder,) = (own_cache / "remote").iterdir()
    (folder / "mine.txt").write_text("kept")
    assert purge("remote") > 1000
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


# What is refused


def lists(monkeypatch: pytest.MonkeyPatch, *names: str, size: int = 10) -> None:
    """Let the file system say that there are these files."""
    found = {f"/bucket/faces/{name}": {"name": name, "type": "file", "size": size} for name in names}
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *_, **__: {"type": "directory"})
    monkeypatch.setattr(MemoryFileSystem, "find", lambda *_, **__: found)


BAD_NAMES = {
    "../../x.png": "leads out of its folder",
    "a/../../../x.png": "leads out of its folder",
    "a\\..\\..\\x.png": "leads out of its folder",
    "C:x.png": "leads out of its folder",
    "/etc/x.png": "leads out of its folder",
    "x\0.png": "leads out of its folder",
    "a//x.png": "no folder can hold",
    "a/./x.png": "no folder can hold",
    "a\nx.png": "no folder can hold",
    "\ud800.png": "no folder can hold",
    "x" * 300 + ".png": "too long",
    "/".join(["folder"] * 200) + "/x.png": "too long",
    "x.png/y.png": "both a file and a folder",
}


@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
def test_names_that_lead_out_or_cannot_be(name: str, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    lists(monkeypatch, "x.png", name)
    with pytest.raises(DataError, match=BAD_NAMES[name]) as refusal:
        load_data(BUCKET)
    assert len(str(refusal.value)) < 500
    assert "\n" not in str(refusal.value)
    assert not own_cache.exists(), "nothing was written"


def test_objects_that_stand_for_folders_are_none(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = fsspec.filesystem("memory")
    system.put(f"{faces}/", "/bucket/faces/", recursive=True)
    found = system.find("/bucket/faces", detail=True)
    marks = {f"/bucket/faces/{name}": {"type": "file", "size": 0} for name in ("", "some more/", "some more", "empty/")}
    monkeypatch.setattr(MemoryFileSystem, "find", lambda *_, **__: found | marks)
    assert same(load_data(BUCKET, size=SIZE), load_data(faces, size=SIZE))


def test_names_outside_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    lists(monkeypatch, "x.png")
    monkeypatch.setattr(MemoryFileSystem, "find", lambda *_, **__: {"/bucket/facesx": {"type": "file", "size": 1}})
    with pytest.raises(DataError, match="lists the file '/bucket/facesx', which lies outside of it"):
        load_data(BUCKET)


def test_names_that_are_one_here(bucket: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.pipe("/bucket/faces/SOME more/01.png", bucket.cat("/bucket/faces/some more/02.png"))
    assert len(load_data(BUCKET, size=SIZE)) == COUNT + 1, "two files on this disk"
    bucket.pipe("/bucket/faces/Some More/01.png", bucket.cat("/bucket/faces/some more/02.png"))
    monkeypatch.setattr(os.path, "samefile", lambda *_: True)
    with pytest.raises(DataError, match=r"takes for one: SOME more/01\.png, Some More/01\.png\. Rename one"):
        load_data(BUCKET, size=SIZE)


def test_too_much(monkeypatch: pytest.MonkeyPatch, bucket: MemoryFileSystem, own_cache: Path) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(remote, "MOST_FILES", 5)
        with pytest.raises(DataError, match=r"has more than 5 files\. Name a folder below it\."):
            load_data(BUCKET)
    with monkeypatch.context() as patch:
        patch.setattr(remote, "MOST_BYTES", 1000)
        with pytest.raises(DataError, match=r"faces has \d+\.\d kB, more than 1\.0 kB\. Name a folder"):
            load_data(BUCKET)
        found = {path: {**entry, "size": None} for path, entry in bucket.find("/bucket/faces", detail=True).items()}
        patch.setattr(MemoryFileSystem, "find", lambda *_, **__: found)
        with pytest.raises(DataError, match=r"faces has more than 1\.0 kB\. Name a folder"):
            load_data(BUCKET)
    lists(monkeypatch, "x.png", size=10**11)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10**9}))
    with pytest.raises(OutputError, match=r"needs 100\.0 GB in .*, and 1\.0 GB are free"):
        load_data(BUCKET)


REFUSED_ADDRESSES = {
    "https://me:hidden@host/faces.zip": "holds a password",
    "https://hidden@host/faces.zip": "holds a password",
    "s3://key:hidden@bucket/faces": "holds a password",
    "https://host/faces.zip?a=1&X-Amz-Signature=hidden": r"gives access to it \(X-Amz-Signature\)",
    "https://host/faces.zip?sv=1&sig=hidden": r"gives access to it \(sig\)",
    "https://host/faces.zip?token=hidden": r"gives access to it \(token\)",
    "zip://x.png::memory://bucket/hidden": "An address is one URL",
}


@pytest.mark.parametrize("address", REFUSED_ADDRESSES)
@pytest.mark.parametrize("kind", ["", "folder:", "hf:"])
def test_secrets_do_not_get_into_reports(address: str, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UsageError, match=REFUSED_ADDRESSES[address]) as refusal:
        recognise(kind + address)
    assert "hidden" not in str(refusal.value) + caplog.text


def test_parameters_without_secrets_are_taken() -> None:
    assert remote.check_address("https://host/faces.zip?download=1") == "https://host/faces.zip?download=1"
    assert remote.check_address("abfs://faces@account.dfs.core.windows.net/all/").endswith("/all")


def test_unknown_protocols_and_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match=r"no protocol named 's4'.*'s3'"):
        load_data("s4://bucket")
    monkeypatch.delenv("AUGFACE_OFFLINE")
    for scheme, package in (("s3", "s3fs"), ("gs", "gcsfs"), ("https", "aiohttp"), ("dvc", "Install dvc")):

        def missing(address: str) -> None:
            raise ImportError("Install dvc to access it")

        monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
        with pytest.raises(UsageError, match=f"^{scheme}:// needs a package that is not here: .*{package}"):
            load_data(f"{scheme}://bucket/faces")


class _WebError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("it failed")
        self.status = status


class _CloudError(Exception):
    response: ClassVar[dict[str, Any]] = {"ResponseMetadata": {"HTTPStatusCode": 404}}


def caused(cause: Exception) -> Exception:
    error = FileNotFoundError("http://host")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError("bucket"), "There is nothing at memory://bucket/faces, or nothing that may be seen"),
        (_WebError(404), "There is nothing at memory://bucket/faces"),
        (_CloudError(), "There is nothing at memory://bucket/faces"),
        (PermissionError("Forbidden"), r"memory://bucket/faces may not be read \(no permission\)"),
        (_WebError(403), r"memory://bucket/faces may not be read \(403\)"),
        (caused(_WebError(401)), r"memory://bucket/faces may not be read \(401\)"),
        (TimeoutError(), "memory://bucket/faces does not answer in time"),
        (FSTimeoutError(), "memory://bucket/faces does not answer in time"),
        (OSError("no route to host"), "Cannot read memory://bucket/faces: no route to host. Try again later"),
        (
            RuntimeError("500 for url: https://me:hidden@cdn.org/a?Signature=hidden&x=1 (retried)\nmore: hidden"),
            r"Cannot read memory://bucket/faces: 500 for url: https://…@cdn\.org/a\?… \(retried\)\. Try",
        ),
    ],
)
@pytest.mark.parametrize("during", ["find", "get_file"])
def test_failures_are_one_line(
    error: Exception, said: str, during: str, bucket: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(MemoryFileSystem, during, fail)
    monkeypatch.setattr(remote, "AT_ONCE", 1)
    with pytest.raises(DataError, match=said.replace("memory:", r"(00\.png of )?memory:")) as refusal:
        load_data(BUCKET)
    assert "\n" not in str(refusal.value)
    assert "hidden" not in str(refusal.value)


def test_a_full_disk_is_no_fault_of_the_address(bucket: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> None:
        raise OSError(28, os.strerror(28))

    hook(monkeypatch, fail)
    with pytest.raises(OutputError, match="No space left on the disk"):
        load_data(BUCKET)


def test_offline(
    bucket: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, own_cache: Path
) -> None:
    refused = (
        r"https://host/faces has no whole copy here, and AUGFACE_OFFLINE forbids to fetch it\. Unset that first\.$"
    )
    with pytest.raises(DataError, match=refused):
        load_data("https://host/faces")
    monkeypatch.setattr(remote, "WITHOUT_A_NETWORK", ())
    with pytest.raises(DataError, match="no whole copy"):
        load_data(BUCKET)
    monkeypatch.setenv("AUGFACE_OFFLINE", "0")
    here = load_data(BUCKET, size=SIZE)
    monkeypatch.setenv("AUGFACE_OFFLINE", "1")
    bucket.rm("/bucket", recursive=True)
    caplog.set_level(logging.INFO)
    assert same(load_data(BUCKET, size=SIZE), here)
    assert "is read from its copy in the cache" in caplog.text
    (copied,) = own_cache.glob("remote/*/copy/faces/00.png")
    copied.unlink()
    with pytest.raises(DataError, match="no whole copy"):
        load_data(BUCKET, size=SIZE)


def test_two_jobs_do_not_copy_at_once(bucket: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[str] = []

    def another_job(path: str) -> None:
        if not answers:
            answers.append("")
            job = threading.Thread(target=attempt)
            job.start()
            job.join()

    def attempt() -> None:
        try:
            load_data(BUCKET, size=SIZE)
        except AugfaceError as error:
            answers[0] = str(error)

    hook(monkeypatch, another_job)
    load_data(BUCKET, size=SIZE)
    assert "is in use by process" in answers[0]


# The web


@pytest.fixture
def web(faces: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The folder above `faces`, on a server on loopback."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed, which fsspec needs for the web")
    monkeypatch.delenv("AUGFACE_OFFLINE")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(faces.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_folders_and_archives_on_the_web(web: str, faces: Path) -> None:
    here = load_data(faces, size=SIZE)
    shutil.make_archive(str(faces.parent / "packed"), "zip", faces)
    for spec in (f"folder:{web}/faces", f"{web}/faces/", f"{web}/packed.zip", f"{web}/packed.zip?download=1"):
        there = load_data(spec, size=SIZE)
        assert same(there, here)
        assert there.source.spec == f"folder:{spec.removeprefix('folder:').rstrip('/')}"
    Image.new("RGB", (20, 20), "red").save(faces / "00.png")
    assert same(load_data(f"{web}/faces", size=SIZE), load_data(faces, size=SIZE)), "changes are noticed"
    for nothing in ("/nowhere", "/nowhere.zip"):
        with pytest.raises(DataError, match=f"There is nothing at {web}{nothing}"):
            load_data(f"{web}{nothing}")


def test_a_server_that_does_not_answer(web: str) -> None:
    with pytest.raises(
        DataError, match=r"Cannot read http://127\.0\.0\.1:1/faces: Cannot connect to host 127\.0\.0\.1:1"
    ):
        load_data("http://127.0.0.1:1/faces")
