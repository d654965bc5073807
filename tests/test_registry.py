"""The registry, and the errors that name what was meant."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from augface.errors import AugfaceError, DataError, OutputError, UnknownNameError, UsageError
from augface.registry import Registry


@pytest.fixture
def things() -> Registry[object]:
    found: Registry[object] = Registry("thing", "augface.test.things")
    found.register("path", "pathlib:Path", "a path", ("nice", "small"))
    found.register("broken", "no_such_module_of_augface:Thing", "cannot be imported")
    found.register("hollow", "pathlib:NoSuchName", "has no such attribute")
    return found


def test_a_name_gives_what_its_target_is(things: Registry[object]) -> None:
    assert things.get("path") is Path


def test_listing_imports_nothing(things: Registry[object]) -> None:
    things.register("lazy", "wave:Wave_read", "a module that nothing here imports")
    sys.modules.pop("wave", None)
    assert list(things) == ["path", "broken", "hollow", "lazy"]
    assert things.entries()["path"].capabilities == {"nice", "small"}
    assert "path" in things
    assert "wave" not in sys.modules


def test_a_name_is_taken_once(things: Registry[object]) -> None:
    with pytest.raises(UsageError, match="'path' is registered twice"):
        things.register("path", "pathlib:PurePath", "another")


def test_an_unknown_name_is_answered_with_the_close_ones(things: Registry[object]) -> None:
    with pytest.raises(UnknownNameError, match=r"no thing named 'brokn'\. Did you mean 'broken'\?"):
        things.get("brokn")
    with pytest.raises(UnknownNameError, match=r"Known: broken, hollow, path\."):
        things.get("zzzz")


@pytest.mark.parametrize("name", ["broken", "hollow"])
def test_a_target_that_cannot_be_imported_says_which(name: str, things: Registry[object]) -> None:
    with pytest.raises(UsageError, match=f"The thing '{name}' .* cannot be loaded"):
        things.get(name)


def test_packages_from_outside_join_but_do_not_replace(
    things: Registry[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = "augface.test.things"
    points = [EntryPoint("outside", "pathlib:PurePath", group), EntryPoint("path", "pathlib:PurePath", group)]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
    assert things.get("outside") is sys.modules["pathlib"].PurePath
    assert things.get("path") is Path


def test_letter_case_does_not_hide_a_close_name() -> None:
    assert UnknownNameError("attribute", "eyeglases", ["Eyeglasses", "Male"]).close == ["Eyeglasses"]


def test_an_unknown_name_among_very_many_is_not_answered_with_all() -> None:
    assert len(str(UnknownNameError("attribute", "~~~~", [f"name_{i}" for i in range(10_000)]))) < 600


def test_each_error_has_the_exit_code_that_scripts_rely_on() -> None:
    codes = {error: error.exit_code for error in (AugfaceError, UsageError, UnknownNameError, DataError, OutputError)}
    assert codes == {AugfaceError: 1, UsageError: 2, UnknownNameError: 2, DataError: 3, OutputError: 4}
