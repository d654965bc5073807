"""`augface study`: asking people whether faces are real, which looks more real, and how good they are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from augface.cli.console import check_output, need_server, print_paths, say, shown, split_names
from augface.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from augface.study.design import Task

app = App(
    name="study",
    help="Ask people: is this face real, which looks more real, how good is it? Runs on this machine, offline.",
    sort_key=90,
)
LINKS_SHOWN = 3


@app.command(sort_key=0)
def new(
    real: str,
    /,
    *fake: str,
    out: Path,
    tasks: list[str] | None = None,
    raters: int = 30,
    faces: int = 100,
    trials: int = 20,
    size: int | None = None,
    crop: str | None = None,
    margin: float = 0.05,
    title: str = "Real or generated?",
    contact: str = "",
    seed: int = 0,
    dry_run: bool = False,
) -> None:
    """Plan a study: draw faces, fix what each rater is asked, and say what difference it can see.

    Args:
        real: The real faces: a folder or zip of images, celeba:DIR, or toy. Held-out ones are taken where there are
            splits.
        fake: The faces of each generator: a folder or zip of images, or the folder of a run or generator to draw from.
        out: The folder for the study.
        tasks: What is asked, with commas between: flash (a brief look), untimed (real or generated?), pairs (which
            looks more real, which is better?), rating (1 to 5). All where not given.
        raters: How many people you expect.
        faces: Faces of each generator under test, at most.
        trials: Faces of each generator that a rater judges in a task.
        size: Height and width of the pictures in pixels; that of the smallest side where not given.
        crop: Which part of each picture is the face: centre, celeba, or left,top,right,bottom in pixels.
        margin: People who are shown to be right in 50 % of answers plus or minus this cannot distinguish the faces.
        title: What raters see as the name of the study.
        contact: Whom raters can ask, such as a mail address; stands on the consent page.
        seed: The same seed draws the same faces and asks the same questions.
        dry_run: Say what would be planned, and stop.
    """
    from augface.study.design import TASKS

    chosen = split_names(tasks or TASKS)
    for name in chosen:
        if name not in TASKS:
            raise UnknownNameError("task", name, TASKS)
    check_output(out)

    from augface.data.crops import parse_crop
    from augface.study.design import Schedule
    from augface.study.planning import Settings, describe, plan_study, write_study

    wanted: tuple[Task, ...] = tuple(task for task in TASKS if task in chosen)
    settings = Settings(
        tasks=wanted,
        raters=raters,
        faces=faces,
        trials=trials,
        size=size,
        crop=None if crop is None else parse_crop(crop),
        margin=margin,
        title=title,
        contact=contact,
        seed=seed,
    )
    say("Drawing faces, and simulating what such a study can see ...")
    planned = plan_study(real, fake, settings, command=["augface", *sys.argv[1:]])
    say("\n".join(describe(planned.plan, Schedule(planned.plan))))
    if dry_run:
        return
    study = write_study(planned, out)
    say("")
    print_paths({"study": study.folder, "words": study.folder / "texts.json"})
    say(f"\nNext: augface study serve {shown(study.folder)}")


@app.command(sort_key=1)
def serve(folder: Path, /, *, port: int = 8000, allow_lan: bool = False) -> None:
    """Show the study to raters, and keep their answers. Ctrl-C ends it; the same command goes on.

    Args:
        folder: The study.
        port: The port to listen on.
        allow_lan: Let other devices in your network take part, not this machine alone. Plain HTTP is not encrypted:
            whoever can listen in the network can read pictures and answers.
    """
    need_server()
    if not 1 <= port <= 65535:
        raise UsageError(f"--port is from 1 to 65535, not {port}.")
    from augface.files import atomic_write
    from augface.loopback import listening_socket, run_server
    from augface.study.answers import Answers
    from augface.study.folder import Study
    from augface.study.server import (
        admin_link,
        create_app,
        lan_address,
        only_server,
        rater_link,
    )

    study = Study.open(folder)
    texts = study.texts  # fails now where a translation is broken
    name = lan_address() if allow_lan else "127.0.0.1"
    address = f"http://{name}:{port}"
    hosts = [f"{host}:{port}" for host in dict.fromkeys((name, "127.0.0.1", "localhost"))]
    with only_server(study):
        listener = listening_socket(port, lan=allow_lan)
        answers = Answers(study)
        links = study.folder / "links.txt"
        atomic_write(links, "".join(f"{rater_link(study, address, slot)}\n" for slot in range(study.plan.raters)))
        links.chmod(0o600)
        say(f"{study.plan.title}: {study.plan.raters} raters, language {texts['language']}.\n")
        say(f"Your own page, with everybody's progress:\n  {admin_link(study, address)}\n")
        say(f"One link for each rater, all in {shown(links)}:")
        for slot in range(min(LINKS_SHOWN, study.plan.raters)):
            say(f"  {rater_link(study, address, slot)}")
        if study.plan.raters > LINKS_SHOWN:
            say(f"  … and {study.plan.raters - LINKS_SHOWN} more")
        if allow_lan:
            say(
                "\nOther devices in this network can take part. Plain HTTP is not encrypted: whoever listens in the "
                "network"
            )
            say("can read pictures, answers and links. Use a network that you trust.")
        else:
            say("\nThese links work on this machine only; --allow-lan lets other devices in your network take part.")
        say("\nCtrl-C ends the server. Every answer is kept at once.")
        try:
            run_server(create_app(study, answers, address=address, hosts=hosts), listener)
        finally:
            answers.close()
    say(f"\nEnded. Next: augface study report {shown(study.folder)}")


@app.command(sort_key=3)
def export(folder: Path, /, *, out: Path, raters: int = 30, redistribute_celeba: bool = False) -> None:
    """Write a page that holds the whole study, for raters elsewhere; each saves a file with the answers.

    Args:
        folder: The study.
        out: The zip to write.
        raters: For how many raters.
        redistribute_celeba: You have the right to pass on pictures of CelebA.
    """
    from augface.files import atomic_write, human_bytes
    from augface.study.exchange import export_pages
    from augface.study.folder import Study

    if out.exists():
        raise UsageError(f"{shown(out)} is there already. Choose another with --out.")
    study = Study.open(folder)
    content = export_pages(study, raters, celeba=redistribute_celeba)
    atomic_write(out, content)
    say(
        f"{shown(out)}  {human_bytes(len(content))}: index.html for {raters} raters, by number: index.html#1 and so on."
    )
    say(f"When files with answers come back: augface study import {shown(study.folder)} answers-*.json")


@app.command(name="import", sort_key=4)
def import_(folder: Path, /, *files: Path) -> None:
    """Take in the files with answers that raters elsewhere saved.

    Args:
        folder: The study.
        files: The files.
    """
    from augface.study.answers import Answers
    from augface.study.exchange import import_answers
    from augface.study.folder import Study

    if not files:
        raise UsageError("Name the files with answers, such as answers-*.json.")
    study = Study.open(folder)
    answers = Answers(study)
    try:
        for path in files:
            imported = import_answers(study, answers, path)
            said = f"{imported.answers} answers" if imported.answers else "was read before; nothing changed"
            say(f"{shown(path)}  {said}")
    finally:
        answers.close()
    say("Anybody could have written such files: the report says how many raters came by one.")


@app.command(sort_key=5)
def simulate(folder: Path, /, *, raters: int = 30, right: float = 0.75, seed: int = 0) -> None:
    """Let simulated raters answer, to try a study out before people do. Reports never mix them with people.

    Args:
        folder: The study.
        raters: How many.
        right: The share of their answers that is right, from 0.5 (guessing) to 1.
        seed: Another seed, other people.
    """
    if not 0.5 <= right <= 0.99:
        raise UsageError(f"--right is from 0.5 to 0.99, not {right}.")
    if not 1 <= raters <= 1000:
        raise UsageError(f"--raters is from 1 to 1,000, not {raters}.")
    from augface.study.answers import Answers
    from augface.study.crowd import Crowd
    from augface.study.folder import Study
    from augface.study.simulate import SimulatedRaters
    from augface.study.simulate import simulate as run

    study = Study.open(folder)
    answers = Answers(study)
    try:
        people = SimulatedRaters(study, Crowd((right,) * len(study.plan.generators), lapse=0.01), raters, seed)
        kept = run(study, answers, people, raters, seed)
    finally:
        answers.close()
    say(f"{raters} simulated raters gave {kept:,} answers. Next: augface study report {shown(study.folder)}")


@app.command(sort_key=2)
def report(
    folder: Path,
    /,
    *,
    classifier: Path | None = None,
    real_images: Annotated[bool, Parameter(negative="--no-real-images")] = True,
) -> None:
    """Say whether people can distinguish the faces from real ones: results.json and report.html in the study's folder.

    Args:
        folder: The study.
        classifier: A run of `augface evaluate` on such faces: people are compared with its classifier.
        real_images: Show real faces in the report.
    """
    from augface.report import terminal_summary
    from augface.results import Evaluation
    from augface.study.analysis import analyse
    from augface.study.answers import Answers
    from augface.study.folder import Study

    study = Study.open(folder)
    place = None if classifier is None else classifier / "results.json" if classifier.is_dir() else classifier
    known = None if place is None else Evaluation.from_json(place)
    answers = Answers(study, create=False)
    try:
        evaluation = analyse(study, answers, classifier=known)
    finally:
        answers.close()
    paths = {"results": study.folder / "results.json", "report": study.folder / "report.html"}
    evaluation.to_json(paths["results"])
    evaluation.to_html(paths["report"], real_images=real_images)
    say(f"{terminal_summary(evaluation, in_full=True)}\n")
    print_paths(paths)
