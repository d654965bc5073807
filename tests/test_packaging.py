"""What is installed is what is in the tree."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]


def package_folders() -> dict[str, Path]:
    """Every package by its import name; the folders at the top stand inside `augface`."""
    folders = {}
    for top, name in {
        "augface": "augface",
        "generators": "augface.generators",
        "evaluators": "augface.evaluators",
    }.items():
        for marker in sorted((ROOT / top).rglob("__init__.py")):
            folder = marker.parent.relative_to(ROOT / top)
            folders[".".join([name, *folder.parts])] = marker.parent
    return folders


def test_every_package_folder_is_listed() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(package_folders())


def test_every_folder_with_code_is_a_package() -> None:
    code = {path.parent for top in ("augface", "generators", "evaluators") for path in (ROOT / top).rglob("*.py")}
    assert code <= set(package_folders().values())


def test_the_links_show_the_folders_at_the_top() -> None:
    for name in ("generators", "evaluators"):
        link = ROOT / "augface" / name
        assert link.is_symlink()
        assert link.resolve() == ROOT / name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the tree, so that neither leaves traces in the other."""
    out = tmp_path_factory.mktemp("wheel")
    source = out / "source"
    source.mkdir()
    listed = ["pyproject.toml", "README.md", "LICENSE", "augface", "generators", "evaluators"]
    subprocess.run(["cp", "-a", *(str(ROOT / name) for name in listed), str(source)], check=True)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(out.glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_packages_once(wheel: Path) -> None:
    expected = {
        "/".join([*name.split("."), path.name])
        for name, folder in package_folders().items()
        for path in folder.glob("*.py")
    }
    for data in (
        "augface/alignment/weights",
        "augface/play/static",
        "augface/report/templates",
        "augface/study/static",
    ):
        expected |= {f"{data}/{path.name}" for path in (ROOT / data).iterdir() if path.is_file()}
    expected |= {"augface/py.typed", "augface/generators/prompts.toml", "augface/rebalancing/known.csv"}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a fresh environment with the wheel, which finds the dependencies where the tests find them."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin/python"
    site_packages = Path(
        subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
    )
    # A path line alone: the .pth files of that folder, the editable install's among them, are not read again.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*command, "--quiet", "--disable-pip-version-check"], check=True)
    return home / "bin"


def test_the_installed_wheel_is_what_runs(installed: Path, tmp_path: Path) -> None:
    code = "import augface, augface.generators as g; print(augface.__file__, g.__file__)"
    output = subprocess.check_output([installed / "python", "-I", "-c", code], text=True, cwd=tmp_path)
    assert all(path.startswith(str(installed.parent)) for path in output.split())


@pytest.mark.parametrize(
    ("words", "said"), [(["--help"], "rebalance"), (["doctor"], "All is fine."), (["list", "generators"], "cgan")]
)
def test_the_installed_command_runs(words: list[str], said: str, installed: Path, tmp_path: Path) -> None:
    result = subprocess.run([installed / "augface", *words], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert said in result.stdout
    assert result.stderr == ""
