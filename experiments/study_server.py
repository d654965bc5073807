"""Does the server of a study lose anything, and how long do its raters wait? Real HTTP, a real process, real kills.

    python experiments/study_server.py load [--raters 50] [--seconds 120]
    python experiments/study_server.py kills [--kills 20]
    python experiments/study_server.py frames [--trials 300]

`load` lets simulated raters answer as fast as people who do not think (a second an answer on average). `kills` ends the
server with SIGKILL at random moments while raters answer, starts it again, and looks whether every answer that was
acknowledged is there. `frames` lets a headless Chromium show brief exposures and counts how far they are off.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from augface.study.answers import Answers
from augface.study.folder import ANSWERS, Study
from augface.study.planning import Settings, plan_study, write_study

Said = dict[str, dict[str, Any]]
"""Acknowledged answers, by their ids."""


def make_study(folder: Path, *, raters: int, tasks: tuple[Any, ...] = ("flash", "untimed", "pairs", "rating")) -> Study:
    """A study of toy faces, of which some were blurred."""
    from PIL import Image, ImageFilter

    from augface.data import load_data

    toy = load_data("toy:400", size=64)
    for name, rows in (("real", range(200)), ("blurred", range(200, 400))):
        (folder / name).mkdir(parents=True)
        for row in rows:
            face = Image.fromarray(toy.images[row])
            face = face.filter(ImageFilter.GaussianBlur(1.2)) if name == "blurred" else face
            face.save(folder / name / f"{row}.png")
    settings = Settings(tasks=tasks, raters=raters)
    return write_study(plan_study(str(folder / "real"), [str(folder / "blurred")], settings), folder / "study")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(study: Study, port: int) -> subprocess.Popen[bytes]:
    """The command itself, as people run it."""
    code = "import sys; from augface.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", code, "study", "serve", str(study.folder), "--port", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return process
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the server did not start")


@contextmanager
def served(study: Study, port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = start(study, port)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


class Client:
    """One rater's connection; opened anew where it was lost."""

    def __init__(self, study: Study, slot: int, port: int, waits: list[float]) -> None:
        url = f"http://127.0.0.1:{port}"
        self._headers = {
            "Authorization": f"Bearer {study.token(slot)}",
            "Origin": url,
            "Content-Type": "application/json",
        }
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._waits = waits

    def ask(self, method: str, path: str, content: object = None) -> tuple[int, bytes]:
        """Status and body; status 0 where nobody answered."""
        body = None if content is None else json.dumps(content)
        started = time.perf_counter()
        try:
            self._connection.request(method, path, body, self._headers)
            response = self._connection.getresponse()
            found = response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0, b""
        self._waits.append(time.perf_counter() - started)
        return found


def answer_on(study: Study, slot: int, port: int, until: float, said: Said, waits: list[float], pause: float) -> None:
    """One rater who answers until the time is over, and tries again where nobody answers."""
    draw, client = random.Random(slot), Client(study, slot, port, waits)
    state: dict[str, Any] | None = None
    time.sleep(draw.uniform(0, pause))
    while time.time() < until:
        if state is None:
            status, body = client.ask("GET", "/api/session")
            if status == 200 and json.loads(body)["state"] == "new":
                status, body = client.ask("POST", "/api/agree", {"device": {"frame_ms": 16.7}})
            if status != 200:
                time.sleep(0.1)
                continue
            state = json.loads(body)
        trial = state["trial"]
        if trial is None:
            return
        for name in trial["images"]:
            client.ask("GET", f"/api/pictures/{name}")
        if trial["task"] == "flash":
            client.ask("GET", f"/api/masks/{trial['mask']}")
        time.sleep(draw.expovariate(1 / pause))
        detail: dict[str, Any] = {"rt": 500.0}
        if trial["exposure"] is not None:
            frames = max(1, round(trial["exposure"] / 16.7))
            detail |= {"frame_ms": 16.7, "frames_asked": frames, "frames_shown": frames}
        content = {"trial": trial["trial"], "answer": draw.choice(trial["choices"]), "detail": detail}
        content["id"] = secrets.token_hex(16)
        status, body = client.ask("POST", "/api/answers", content)
        state = json.loads(body) if status == 200 else None  # not acknowledged: ask where we stand
        if state is not None:
            said[content["id"]] = content | {"rater": slot}


def lost(study: Study, said: Said) -> list[str]:
    """Acknowledged answers that are not there as they were given."""
    connection = sqlite3.connect(study.folder / ANSWERS)
    kept = {
        name: (slot, trial, answer)
        for name, slot, trial, answer in connection.execute(
            "SELECT id, slot, trial, answer FROM answers JOIN raters USING (rater)"
        )
    }
    connection.close()
    return [name for name, one in said.items() if kept.get(name) != (one["rater"], one["trial"], one["answer"])]


def raters_at_work(
    study: Study, port: int, slots: range, until: float, said: Said, waits: list[float], pause: float
) -> list[threading.Thread]:
    threads = [
        threading.Thread(target=answer_on, args=(study, slot, port, until, said, waits, pause)) for slot in slots
    ]
    for thread in threads:
        thread.start()
    return threads


def load(raters: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        study, port = make_study(Path(folder), raters=raters), free_port()
        said: Said = {}
        waits: list[float] = []
        with served(study, port) as process:
            before, began = time.process_time(), processor_seconds(process.pid)
            for thread in raters_at_work(study, port, range(raters), time.time() + seconds, said, waits, 1.0):
                thread.join()
            spent, own = processor_seconds(process.pid) - began, time.process_time() - before
        gone = lost(study, said)
        percentiles = ", ".join(f"p{p} {1000 * np.percentile(waits, p):.0f} ms" for p in (50, 95, 99))
        print(f"{raters} raters, {seconds:.0f} s: {len(waits):,} requests, {len(said):,} answers acknowledged")
        print(f"waiting: {percentiles}, longest {1000 * max(waits):.0f} ms; lost: {len(gone)}")
        print(f"processor: server {spent:.1f} s ({1000 * spent / len(waits):.1f} ms a request), raters {own:.1f} s")


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kills(number: int) -> None:
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        study, port = make_study(Path(folder), raters=60), free_port()
        said: Said = {}
        unsure = 0
        for kill in range(number):
            process = start(study, port)
            slots = range(10 * (kill // 4), 10 * (kill // 4) + 10)  # others when these have answered most
            threads = raters_at_work(study, port, slots, time.time() + 5, said, [], 0.05)
            time.sleep(draw.uniform(0.3, 4))
            process.kill()
            process.wait()
            for thread in threads:
                thread.join()
            answers = Answers(study)
            kept = sum(answers.counts().values())
            answers.close()
            gone = lost(study, said)
            unsure = kept - len(said)
            print(f"kill {kill + 1}: {len(said):,} acknowledged, {kept:,} kept, {len(gone)} lost", flush=True)
            assert not gone
        print(f"{number} kills: no acknowledged answer lost; {unsure} were kept whose acknowledgement did not arrive")


def frames(trials: int) -> None:
    import shutil

    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        study, port = make_study(Path(folder), raters=2, tasks=("flash",)), free_port()
        off: Counter[int] = Counter()
        with served(study, port), sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=["--no-sandbox"]
            )
            preview = 0
            while sum(off.values()) < trials:
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.goto(f"http://127.0.0.1:{port}/#{study.token(preview, 'preview')}&simulate=visual")
                page.wait_for_selector("html[data-state=finished]", state="attached", timeout=300_000)
                page.close()
                answers = Answers(study)
                rater = next(one for one in answers.raters() if one.slot == preview)
                for one in answers.of(rater.number):
                    off[int(one.detail["frames_shown"] - one.detail["frames_asked"])] += 1
                answers.close()
                preview += 1
            browser.close()
        count = sum(off.values())
        within = sum(number for frame, number in off.items() if abs(frame) <= 1) / count
        print(f"{count} exposures of 1 to 60 frames: off by frames {json.dumps(dict(sorted(off.items())))}")
        print(f"within one frame: {within:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["load", "kills", "frames"])
    parser.add_argument("--raters", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=300)
    arguments = parser.parse_args()
    if arguments.what == "load":
        load(arguments.raters, arguments.seconds)
    elif arguments.what == "kills":
        kills(arguments.kills)
    else:
        frames(arguments.trials)


if __name__ == "__main__":
    main()
