"""Runs beside each other: ranked where their numbers are alike in kind, and otherwise not, with the reason in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from augface.cli import main
from augface.cli.compare import WIDTH, run_names
from augface.comparison import Comparison, Row, compare
from augface.results import SCHEMA, Baseline, Evaluation, Measurement, Verdict

DATA = {"spec": "celeba:/a", "content_hash": "a1" * 32}
OTHER_DATA = {"spec": "folder:/b", "content_hash": "b2" * 32}


def number(value: float | None = 0.5, half: float | None = 0.01, **changes: Any) -> Measurement:
    """A measurement of the kernel distance with an interval of `half` to either side."""
    fields: dict[str, Any] = {
        "evaluator": "fidelity",
        "name": "kernel_distance",
        "direction": "lower",
        "n_real": 1000,
        "n_fake": 1000,
        "space": "efficientnet",
        "protocol": {"k": 3, "seed": 0},
    }
    if value is not None and half is not None:
        fields |= {"low": value - half, "high": value + half}
    return Measurement(value=value, **fields | changes)


def run(*measurements: Measurement, **provenance: Any) -> Evaluation:
    return Evaluation(
        verdict=Verdict(decision="not assessed", reason="A test."),
        measurements=list(measurements),
        provenance=provenance or {"job": "rebalance", "data": DATA},
    )


def compared(*measurements: Measurement) -> Row:
    """The only row of runs a, b, … with one measurement each."""
    (row,) = compare({name: run(each) for name, each in zip("abcdefgh", measurements, strict=False)}).rows
    return row


# Ranks


@pytest.mark.parametrize(
    ("direction", "ranks"), [("lower", {"a": 2, "b": 1, "c": 3}), ("higher", {"a": 2, "b": 3, "c": 1})]
)
def test_runs_are_ranked_by_the_direction_that_is_better(direction: str, ranks: dict[str, int]) -> None:
    row = compared(*(number(value, direction=direction) for value in (0.5, 0.4, 0.6)))
    assert row.ranks == ranks
    assert row.differences == row.notes == ()


def test_a_target_is_ranked_by_the_distance_to_each_baseline() -> None:
    def aimed(value: float, target: float) -> Measurement:
        return number(value, direction="target", baseline=Baseline(value=target, n=10))

    assert compared(aimed(0.9, 0.5), aimed(0.45, 0.5), aimed(0.7, 0.9)).ranks == {"b": 1, "c": 2, "a": 3}


@pytest.mark.parametrize("baseline", [None, Baseline(value=None, n=10)])
def test_a_target_without_a_baseline_is_not_ranked(baseline: Baseline | None) -> None:
    row = compared(
        number(0.5, direction="target", baseline=Baseline(value=0.4, n=10)),
        number(0.6, direction="target", baseline=baseline),
    )
    assert row.differences == ("no baseline to be near to (b)",)
    assert not row.ranked


def test_a_difference_that_could_be_chance_is_a_tie() -> None:
    half = 0.01  # two runs: significant beyond the square root of 2 times this
    tied, apart = compared(number(0.5, half), number(0.5141, half)), compared(number(0.5, half), number(0.5143, half))
    assert tied.ranks == {"a": 1, "b": 1}
    assert tied.tied("a")
    assert tied.tied("b")
    assert apart.ranks == {"a": 1, "b": 2}
    assert not apart.tied("a")


def test_a_group_is_held_against_its_best_and_the_next_rank_counts_all_before() -> None:
    row = compared(*(number(value, 0.01) for value in (0.530, 0.510, 0.500, 0.520)))
    assert row.ranks == {"c": 1, "b": 1, "d": 3, "a": 3}  # d ties with b, but is worse than c


def test_without_intervals_only_equal_values_tie_and_a_note_says_so() -> None:
    row = compared(number(0.5, None), number(0.5, None), number(0.50001, 0.1))
    assert row.ranks == {"a": 1, "b": 1, "c": 3}
    assert row.without_intervals == ("a", "b")
    assert row.notes == ("without intervals, so no ties are told (a, b)",)


def test_runs_without_a_value_stand_aside() -> None:
    row = compared(number(0.5), number(None, protocol={"k": 9}), number(0.4))
    assert row.ranks == {"a": 2, "c": 1}


def test_a_number_of_one_run_alone_is_not_ranked() -> None:
    assert compared(number(None), number(0.5)).differences == ("only b has it",)
    assert compared(number(None), number(None)).differences == ("no run has it",)


# What can be compared


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"k": 3}, {"k": 5}, "k: 3 and 5"),
        ({"tested": 3000}, {"tested": 12000}, "tested: 3,000 and 12,000"),
        ({"k": 3}, {}, "k: 3 and not given"),
        ({"k": 3}, {"k": None}, "k: 3 and none"),
        ({"k": True}, {"k": 1}, "k: true and 1"),
        ({"k": [1, 2]}, {"k": [1, 3]}, "k: [1, 2] and [1, 3]"),
        ({"a": {"b": {"c": 1}, "d": 0}}, {"a": {"b": {"c": 2}, "d": 0}}, "a.b.c: 1 and 2"),
        ({"a": {"b": 1}}, {"a.b": 1}, "a.b: 1 and not given"),
        ({"a": {"b": 1}}, {"a": {}}, "a.b: 1 and not given"),
        ({"a": {}}, {}, "a: {} and not given"),
        ({"weights": "ab" * 32}, {"weights": "cd" * 32}, "weights: abababababab… and cdcdcdcdcdcd…"),
        ({"weights": "ab" * 32}, {"weights": "ab" * 31}, f"weights: {'ab' * 32} and {'ab' * 31}"),
        ({"x\x1b[31m": "a\x1b\nb"}, {"x\x1b[31m": "c"}, "x[31m: a b and c"),
    ],
)
def test_numbers_of_unlike_protocols_are_not_ranked_and_the_difference_is_told(
    first: dict[str, Any], second: dict[str, Any], said: str
) -> None:
    row = compared(number(0.4, protocol=first), number(0.5, protocol=second))
    assert not row.ranked
    assert row.differences[0] == said


def test_one_unlike_run_keeps_the_whole_row_from_being_ranked_but_not_the_others() -> None:
    def evaluation(k: int, value: float) -> Evaluation:
        return run(number(value, protocol={"k": k}), number(value, name="frechet_distance"))

    kernel, frechet = compare({"a": evaluation(3, 0.4), "b": evaluation(3, 0.5), "c": evaluation(5, 0.6)}).rows
    assert kernel.ranks == {}
    assert kernel.differences == ("k: 3 (a, b), 5 (c)",)
    assert frechet.ranks == {"a": 1, "b": 2, "c": 3}


def test_many_unlike_values_are_counted_beyond_the_first() -> None:
    row = compared(*(number(0.5, protocol={"k": k}) for k in range(7)))
    assert row.differences == ("k: 0 (a), 1 (b), 2 (c), 3 (d) and 3 more",)


def test_another_seed_is_a_note_wherever_it_stands() -> None:
    row = compared(
        number(0.4, protocol={"seed": 0, "draw": {"seed": 10_000}}),
        number(0.5, protocol={"seed": 1, "draw": {"seed": 20_000}}),
    )
    assert row.ranks == {"a": 1, "b": 2}
    assert row.notes == ("seed: 0 and 1", "draw.seed: 10000 and 20000")


def test_what_is_found_with_the_number_is_no_difference() -> None:
    row = compared(*(number(value, protocol={"smallest_visible_effect": value}) for value in (0.4, 0.5)))
    assert row.ranks == {"a": 1, "b": 2}
    assert row.notes == ()


@pytest.mark.parametrize("field", ["n_real", "n_fake"])
@pytest.mark.parametrize(("evaluator", "bound"), [("fidelity", True), ("prdc", True), ("downstream", False)])
def test_other_numbers_of_faces_forbid_to_rank_what_depends_on_them(field: str, evaluator: str, bound: bool) -> None:
    row = compared(number(0.4, evaluator=evaluator), number(0.5, evaluator=evaluator, **{field: 5000}))
    told = (f"{field}: 1,000 and 5,000",)
    assert row.ranked is not bound
    assert (row.differences, row.notes) == ((told, ()) if bound else ((), told))


@pytest.mark.parametrize("changes", [{"unit": "%"}, {"direction": "higher"}])
def test_numbers_of_another_kind_are_not_ranked(changes: dict[str, Any]) -> None:
    row = compared(number(0.4), number(0.5, **changes))
    assert not row.ranked
    assert row.differences[0].startswith(f"{next(iter(changes))}: ")


def test_other_real_faces_forbid_to_rank_whichever_command_measured_them() -> None:
    same = compare({"a": run(number(0.4), data=DATA), "b": run(number(0.5), real=DATA, synthetic=OTHER_DATA)})
    assert same.rows[0].ranks == {"a": 1, "b": 2}
    other = compare({"a": run(number(0.4), data=DATA), "b": run(number(0.5), real=OTHER_DATA, synthetic=DATA)})
    assert other.rows[0].ranks == {}
    assert other.rows[0].differences == ("real faces: other data (celeba:/a, folder:/b)",)


def test_other_real_faces_from_the_same_place_are_told_by_their_hash() -> None:
    changed = DATA | {"content_hash": "c3" * 32}
    (row,) = compare({"a": run(number(), data=DATA), "b": run(number(), data=changed)}).rows
    said = "real faces: other data (celeba:/a of hash a1a1a1a1…, celeba:/a of hash c3c3c3c3…)"
    assert row.differences == (said,)


@pytest.mark.parametrize("provenance", [{"data": {"spec": "x"}}, {"real": "text"}, {"job": 1}])
def test_real_faces_that_nobody_knows_are_a_note(provenance: dict[str, Any]) -> None:
    (row,) = compare({"a": run(number(0.4)), "b": run(number(0.5), **provenance)}).rows
    assert row.ranks == {"a": 1, "b": 2}
    assert row.notes == ("real faces: not known which (b)",)


# What stands in one row


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluator": "prdc"},
        {"name": "frechet_distance"},
        {"group": {"Male": True}},
        {"space": "pixels"},
        {"protocol": {"arm": "plain"}},
        {"protocol": {"attribute": "Male"}},
    ],
)
def test_numbers_about_different_things_stand_in_rows_of_their_own(changes: dict[str, Any]) -> None:
    rows = compare({"a": run(number()), "b": run(number(**changes))}).rows
    assert [row.differences for row in rows] == [("only a has it",), ("only b has it",)]


def test_a_group_is_the_same_in_any_order() -> None:
    row = compared(number(0.4, group={"Male": True, "Young": False}), number(0.5, group={"Young": False, "Male": True}))
    assert row.ranks == {"a": 1, "b": 2}


def test_no_number_is_lost_where_a_run_has_several_of_the_same_kind() -> None:
    several = run(number(0.1, protocol={"k": 3}), number(0.2, protocol={"k": 5}))
    first, second = compare({"a": several, "b": run(number(0.3, protocol={"k": 3}))}).rows
    assert first.ranks == {"a": 1, "b": 2}
    assert second.differences == ("only a has it",)


# The frame


def test_a_frame_has_one_row_a_measurement_and_run() -> None:
    baseline = Baseline(value=0.1, n=10)
    frame = compare(
        {
            "a": run(number(0.4, baseline=baseline), number(0.1, name="other", group={"Male": True})),
            "b": run(number(0.401)),
            "c": run(number(0.6, protocol={"k": 3, "seed": 1})),
        }
    ).to_frame()
    assert list(zip(frame["name"], frame["run"], strict=True)) == [
        (name, letter) for name in ("kernel_distance", "other") for letter in "abc"
    ]
    assert frame["rank"].tolist() == [1, 1, 3, pd.NA, pd.NA, pd.NA]
    assert frame["tied"].tolist() == [True, True, False, False, False, False]
    assert frame["value"].tolist()[:4] == [0.4, 0.401, 0.6, 0.1]
    assert frame["value"].isna().tolist() == [False] * 4 + [True] * 2
    assert frame["baseline_value"].tolist()[0] == 0.1
    assert frame["differences"].tolist() == [""] * 3 + ["only a has it"] * 3
    assert frame["notes"].tolist()[0] == "seed: 0 (a, b), 1 (c)"
    assert frame["group"].tolist()[3] == {"Male": True}


def test_a_frame_of_nothing_has_its_columns() -> None:
    assert {"evaluator", "run", "rank"} <= set(Comparison((), ()).to_frame().columns)


# The command


def saved(folder: Path, **evaluations: Evaluation) -> list[str]:
    for name, evaluation in evaluations.items():
        evaluation.to_json(folder / name / "results.json")
    return [str(folder / name) for name in evaluations]


def test_compare_prints_a_table_with_the_best_and_the_ties(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = saved(
        tmp_path,
        first=run(number(0.5), number(0.7, name="frechet_distance")),
        second=run(number(0.6), number(0.701, name="frechet_distance")),
    )
    assert main(["compare", runs[0], f"{runs[1]}/results.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["first", "second"]
    assert lines[1].split() == ["Kernel", "distance", "*1", "0.500", "2", "0.600"]
    assert lines[2].split() == ["lower", "is", "better", "0.490", "to", "0.510", "0.590", "to", "0.610"]
    assert lines[3].split() == ["Frechet", "distance", "*1=", "0.700", "*1=", "0.701"]
    assert "Not ranked" not in "".join(lines)


def test_compare_tells_what_is_not_ranked_once_for_all_that_it_concerns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def evaluation(value: float, k: int) -> Evaluation:
        unlike: dict[str, Any] = {"protocol": {"hash": f"{k}" * 64, "l": k, "m": k, "n": k, "o": k}}
        return run(
            number(value, name="frechet_distance", **unlike), number(value), number(value, name="other", **unlike)
        )

    assert main(["compare", *saved(tmp_path, first=evaluation(0.5, 3), second=evaluation(0.6, 5))]) == 0
    ranked, _, others = capsys.readouterr().out.partition("Not ranked\n")
    assert "Kernel distance" in ranked
    assert "Frechet" not in ranked
    assert others == (
        "  Frechet distance, Other: hash: 333333333333... and 555555555555...; l: 3 and 5; m: 3 and 5; and 2\n"
        "    more\n"
    )


def test_compare_shows_groups_only_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    glasses = {"Eyeglasses": True}
    runs = saved(tmp_path, a=run(number(), number(group=glasses)), b=run(number(), number(group=glasses)))
    assert main(["compare", *runs]) == 0
    output = capsys.readouterr().out
    assert "Eyeglasses" not in output
    assert "1 more of groups of faces: --all shows them." in output
    assert main(["compare", *runs, "--all"]) == 0
    output = capsys.readouterr().out
    assert "(Eyeglasses)" in output
    assert "--all" not in output


@pytest.mark.parametrize("count", [2, 3, 4, 6, 7, 12])
@pytest.mark.parametrize("length", [4, 90])
def test_compare_keeps_to_its_width_and_shows_every_run_with_its_value(
    count: int, length: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluations = {
        f"{place:02}{'x' * length}": run(
            number(0.5 + place, direction="higher", name="a_" * 30), number(1e300 + place, 1e299, name="huge")
        )
        for place in range(count)
    }
    assert main(["compare", *saved(tmp_path, **evaluations)]) == 0
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= WIDTH
    for place in range(count):
        assert f"{place:02}xx" in output
        assert f"{0.5 + place:.3f}" in output


@pytest.mark.parametrize("half", [None, 2])
def test_compare_lists_many_runs_below_each_other_the_best_first(
    half: float | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluations = {f"run{place}": run(number(place, half, direction="higher")) for place in range(7)}
    assert main(["compare", *saved(tmp_path, **evaluations)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Kernel distance, higher is better"
    assert [line.split()[1] for line in lines[1:8]] == [f"run{place}" for place in range(6, -1, -1)]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (run(number(protocol={"k": 3})), run(number(protocol={"k": 5})), "Kernel distance: k: 3 and 5."),
        (run(number()), run(number(name="other")), "Kernel distance: only a has it."),
        (run(), run(), "no measurements of all faces."),
        (run(number(group={"Male": True})), run(number(group={"Male": True})), "Groups of faces can: add --all."),
    ],
)
def test_compare_fails_where_nothing_can_be_ranked(
    first: Evaluation, second: Evaluation, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *saved(tmp_path, a=first, b=second)]) == 3
    error = capsys.readouterr().err
    assert "nothing can be ranked: " in error
    assert said in error


def test_compare_wants_two_runs_that_are_not_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder,) = saved(tmp_path, a=run(number()))
    for words in ([], [folder]):
        assert main(["compare", *words]) == 2
        assert "two or more runs" in capsys.readouterr().err
    assert main(["compare", folder, f"{folder}/results.json"]) == 2
    assert "more than once" in capsys.readouterr().err


def test_compare_refuses_what_is_no_results_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder,) = saved(tmp_path, a=run(number()))
    newer = tmp_path / "newer.json"
    newer.write_text(json.dumps({"schema": SCHEMA + 1}))
    for path, said in ((tmp_path / "none.json", "Cannot read"), (newer, "Install a newer augface")):
        assert main(["compare", folder, str(path)]) == 3
        assert said in capsys.readouterr().err


def test_compare_writes_all_numbers_as_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = saved(tmp_path, a=run(number(0.4), number(name="other", group={"Male": True})), b=run(number(0.5)))
    csv, text = tmp_path / "out/table.csv", tmp_path / "table.JSON"
    assert main(["compare", *runs, "--out", str(csv)]) == 0
    assert "table.csv" in capsys.readouterr().out
    assert main(["compare", *runs, "--out", str(text)]) == 0
    assert pd.read_csv(csv)["rank"].tolist()[:2] == [1, 2]
    records = json.loads(text.read_text())
    assert [(each["run"], each["value"], each["rank"]) for each in records[:2]] == [("a", 0.4, 1), ("b", 0.5, 2)]
    assert records[3]["value"] is None
    assert records[2]["group"] == {"Male": True}
    assert list(csv.parent.iterdir()) == [csv]


@pytest.mark.parametrize(("name", "code"), [("table.txt", 2), ("table", 2), ("a/results.json", 4)])
def test_compare_refuses_other_tables_and_writes_over_no_run(
    name: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = saved(tmp_path, a=run(number(0.4)), b=run(number(0.5)))
    before = sorted(tmp_path.rglob("*")), (tmp_path / "a/results.json").read_bytes()
    assert main(["compare", *runs, "--out", str(tmp_path / name)]) == code
    assert "--out takes" in capsys.readouterr().err
    assert (sorted(tmp_path.rglob("*")), (tmp_path / "a/results.json").read_bytes()) == before


def test_hostile_names_and_protocols_cannot_paint_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "x\x1b[31m\u202e\ud800\r\ny"

    def evaluation(value: float, text: str) -> Evaluation:
        printable = text.replace("\ud800", "")
        return run(
            number(value),
            number(value, name=printable, evaluator=printable, unit=printable, protocol={hostile: text + str(value)}),
            number(value, name="arm", protocol={"arm": text, "attribute": text}),
            data={"spec": text, "content_hash": "same"},
        )

    first, second = tmp_path / "a\x1b[31m", tmp_path / "a[31m"
    for folder, value in ((first, 0.4), (second, 0.5)):
        folder.mkdir()
        (folder / "results.json").write_text(json.dumps(evaluation(value, hostile).model_dump(by_alias=True)))
    table = tmp_path / "table.json"
    assert main(["compare", str(first), str(second), "--out", str(table)]) == 0
    output = capsys.readouterr().out.replace("\n", "")
    assert all(character.isprintable() for character in output)
    assert "a[31m (1)" in " ".join(output.split())
    assert len(json.loads(table.read_text())) == 6


def test_runs_of_the_same_name_are_told_apart_by_their_folders() -> None:
    paths = ["/a/run/results.json", "/b/run/results.json", "/b/other.json"]
    assert run_names([Path(path) for path in paths]) == ["a/run", "b/run", "b/other"]
    assert run_names([Path("/results.json"), Path("/a/results.json")]) == ["/", "a"]


def test_compare_has_help_for_each_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--help"]) == 0
    output = capsys.readouterr().out
    for said in ("Two or more results.json", "--out", "FILE.csv", "--all", "groups of faces"):
        assert said in output
