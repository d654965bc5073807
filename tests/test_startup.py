"""Starting is quick, and loads nothing heavy before it is needed."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

RUNS = 5
HEAVY = ("torch", "torchvision", "timm", "pandas", "scipy", "sklearn", "matplotlib", "seaborn", "faiss", "PIL")


def seconds(program: str) -> float:
    """Of processor time, which a busy machine stretches less than time by the clock."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def fastest(*programs: str) -> list[float]:
    """Of each the best of several runs, beyond bare Python: noise of a busy machine only ever adds time."""
    times = [[seconds(program) for program in ("pass", *programs)] for _ in range(RUNS)]
    bare, *best = (min(each) for each in zip(*times, strict=True))
    return [each - bare for each in best]


HELP = "import sys; sys.argv = ['augface', '--help']; from augface.cli import main; main()"
LIBRARIES = "import cyclopts, rich.markdown"


def test_start_takes_little_more_time_than_the_libraries_of_the_command_line() -> None:
    imported, helped, libraries = fastest("import augface", HELP, LIBRARIES)
    assert imported < 0.5 * libraries
    assert helped < 3.5 * libraries


@pytest.mark.parametrize(
    "program", ["import augface", "import augface; dir(augface)", HELP], ids=["import", "dir", "help"]
)
def test_start_loads_nothing_heavy(program: str) -> None:
    check = f"{program}\nimport sys; sys.exit(' '.join(name for name in {HEAVY} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert result.stderr.strip() == ""


def test_every_public_name_is_there() -> None:
    import augface

    for name in augface.__all__:
        assert getattr(augface, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = augface.no_such_name
