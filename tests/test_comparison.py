"""Runs beside each other: ranked where their numbers are alike in kind, and otherwise not, with the reason in words."""

from __future__ import annotations

import base64
import json
import re
import time
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_results import HOSTILE, SECTIONS, hostile_evaluation, painted_faces
from html_elements import Elements, assert_loads_nothing

from augface.cli import main
from augface.cli.compare import WIDTH, run_names
from augface.report import leaderboard, render_comparison
from augface.report.leaderboard import ComparisonPage, conclusion, summarise_comparison
from augface.report.words import quantity
from augface.results import SCHEMA, Baseline, Evaluation, ImageGrid, Measurement, Skipped, Verdict, artifacts
from augface.results.comparison import Comparison, Row, compare

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
        sections=SECTIONS,
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
    assert row.notes == ("without intervals, so no ties are reported (a, b)",)


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
        ({"x\x1b[31m": "a\x1b\nb"}, {"x\x1b[31m": "c"}, r"x\x1b[31m: a\x1b b and c"),
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
    row = compared(*(number(value, found={"smallest_visible_effect": value}) for value in (0.4, 0.5)))
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
        {"arm": "plain"},
        {"attribute": "Male"},
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
    winner, _, *lines = capsys.readouterr().out.splitlines()
    assert winner == "The winner is first: first in all 2 key measures, alone in 1."
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
    _, _, *lines = capsys.readouterr().out.splitlines()
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
    assert r"a\x1b[31m" in output.split(), "names that differ in what cannot be seen are told apart"
    assert len(json.loads(table.read_text())) == 6


def test_runs_of_the_same_name_are_told_apart_by_their_folders() -> None:
    paths = ["/a/run/results.json", "/b/run/results.json", "/b/other.json"]
    assert run_names([Path(path) for path in paths]) == ["a/run", "b/run", "b/other"]
    assert run_names([Path("/results.json"), Path("/a/results.json")]) == ["/", "a"]


def test_compare_has_help_for_each_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--help"]) == 0
    output = capsys.readouterr().out
    for said in ("Two or more results.json", "--out", "FILE.html", "--all", "groups of faces", "--no-real-images"):
        assert said in output


# The page


def grid(seed: int, *, name: str = "samples-made", section: str = "samples", real: bool = False) -> ImageGrid:
    return artifacts.image_grid(
        painted_faces(4, seed),
        name=name,
        title=f"The sheet {name}",
        caption=f"Four faces of {name}.",
        section=section,
        shows_real_people=real,
    )


def with_grids(*grids: ImageGrid, value: float = 0.5) -> Evaluation:
    return run(number(value)).model_copy(update={"artifacts": list(grids)})


def page_of(**evaluations: Evaluation) -> str:
    return render_comparison(compare(evaluations), evaluations)


def summary_of(**evaluations: Evaluation) -> ComparisonPage:
    return summarise_comparison(compare(evaluations), evaluations)


def text_of(html: str) -> str:
    return " ".join("".join(Elements(html.partition("</style>")[2].partition("<script>")[0]).text).split())


def rows_of_leaderboard(html: str) -> list[list[str]]:
    """The texts of the cells, row by row."""
    (table,) = re.findall(r'<table class="leaderboard.*?</table>', html, re.DOTALL)
    return [
        [
            " ".join(unescape(re.sub("<[^>]*>", "", cell)).split())
            for cell in re.findall(r"<td .*?</td>", row, re.DOTALL)
        ]
        for row in re.findall(r"<tr.*?</tr>", table.partition("<tbody")[2], re.DOTALL)
    ]


def big_evaluation(seed: int, attributes: int = 40) -> Evaluation:
    """Ten numbers of all faces, and ten of each attribute."""
    random = np.random.default_rng(seed)
    names = ("kernel_distance", "frechet_distance", "fid", "kid", *(f"other_{place}" for place in range(6)))
    groups = [{}, *({f"Attribute_{place}": True} for place in range(attributes))]
    measurements = [
        number(random.normal(0.5, 0.01), 0.01, name=name, group=group, meaning=f"What {name} says, in a sentence.")
        for group in groups
        for name in names
    ]
    return run(*measurements, data=DATA, command=["augface", "evaluate", str(seed)], seed=seed)


def test_the_page_shows_ties_ranks_and_intervals() -> None:
    page = page_of(a=run(number(0.500)), b=run(number(0.501)), c=run(number(0.600)), d=run(number(0.601)))
    assert rows_of_leaderboard(page) == [
        [
            "a ★ 1 = 0.500 0.490 to 0.510",
            "b ★ 1 = 0.501 0.491 to 0.511",
            "c 3 = 0.600 0.590 to 0.610",
            "d 3 = 0.601 0.591 to 0.611",
        ]
    ]
    assert "shares the rank: not significantly worse than the best of that rank (95 %)" in text_of(page)
    assert "No winner: a and b share the first rank in the one key measure." in text_of(page)
    assert [entrant.firsts for entrant in summary_of(a=run(number(0.5)), b=run(number(0.6))).entrants] == [
        "1 of 1",
        "0 of 1",
    ]
    assert page.count("1 of 1, 1 shared") == 2
    assert page.count('class="first"') == 2


def conclusion_of(**evaluations: Evaluation) -> str:
    return conclusion(compare(evaluations), evaluations)


def test_the_winner_is_named_or_that_there_is_none() -> None:
    good = run(number(0.5), number(0.7, name="fid"))
    bad = run(number(0.6), number(0.8, name="fid"))
    mixed = run(number(0.4), number(0.9, name="fid"))
    assert conclusion_of(good=good, bad=bad) == "The winner is good: first in all 2 key measures, alone in 2."
    assert conclusion_of(good=good, mixed=mixed).startswith("No winner: of 2 key measures, good in 1, mixed in 1")
    assert conclusion_of(good=good, twin=good).startswith("No winner: all runs share")
    unlike = run(number(0.6, protocol={"k": 7}), number(0.8, name="fid", protocol={"k": 7}))
    assert conclusion_of(good=good, unlike=unlike) == "No winner: no key measure can be ranked."
    useless = good.model_copy(update={"verdict": Verdict(decision="do not use", reason="They hurt.")})
    assert conclusion_of(useless=useless, bad=bad).endswith("Its own verdict is not to use its faces.")


def test_the_best_without_a_tie_is_marked_without_a_sign_of_equality() -> None:
    page = page_of(a=run(number(0.6)), b=run(number(0.5)))
    assert rows_of_leaderboard(page) == [["a 2 0.600 0.590 to 0.610", "b ★ 1 0.500 0.490 to 0.510"]]


def test_the_leaderboard_has_the_key_measures_in_the_order_of_the_scorecard() -> None:
    def evaluation(value: float) -> Evaluation:
        modes: dict[str, Any] = {"evaluator": "modes", "name": "missing_share"}
        return run(
            number(value, evaluator="mine", name="group", group={"Male": True}),
            number(value, evaluator="mine", name="of_all"),
            number(value, evaluator="downstream", name="effect", group={"Male": True}),
            number(value, evaluator="downstream", name="effect", arm="plain"),
            number(value, name="kernel_distance", group={"Male": True}),
            number(value, name="other"),
            number(value, name="kernel_distance"),
            number(value, name="fid", protocol={"unlike": value}),
            *(number(value, space=space, **modes) for space in ("pixels", "clip")),
            number(value, evaluator="rebalance", name="yield"),
            number(value, name="frechet_distance"),
        )

    summary = summary_of(a=evaluation(0.5), b=evaluation(0.6))
    assert [line.label for line in summary.leaderboard] == [
        "Frechet distance",
        "Kernel distance",
        "Missing share (pixels)",
        "Effect (Male)",
        "Of all",
    ]
    others, groups = summary.tables
    assert [line.label for line in others.lines] == [
        "Effect (plain)",
        "Other",
        "Missing share (clip)",
        "Yield",
        "Fid",
    ]
    assert [line.label for line in groups.lines] == ["Group (Male)", "Kernel distance (Male)"]
    assert [(remark.text, remark.subjects) for remark in summary.reasons] == [("unlike: 0.5 and 0.6", ["Fid"])]


def test_strips_of_a_measure_have_one_scale_and_the_interval_of_the_best_behind_them() -> None:
    (line,) = summary_of(
        a=run(number(0.7, 0.1)), b=run(number(0.2, 0.1)), c=run(number(None)), d=run(number(0.4, None))
    ).leaderboard
    a, b, c, d = (entry.strip for entry in line.entries)
    assert a
    assert b
    assert d
    assert c is None
    assert a.baseline == b.baseline == d.baseline == b.interval
    assert d.interval is None
    assert 0 < b.value < d.value < a.value < 100
    # the scale goes from 0.1 to 0.8, and a twentieth further on each side
    assert b.interval
    low, high = b.interval
    assert low == pytest.approx(4.5, abs=0.1)
    assert high - low == pytest.approx(100 * 0.2 / 0.77, abs=0.2)
    assert a.value - b.value == pytest.approx(100 * 0.5 / 0.77, abs=0.2)


@pytest.mark.parametrize(("value", "is_shown"), [(0.0, True), (0.05, True), (0.2, False), (-0.2, False)])
def test_zero_is_marked_where_it_lies_on_the_scale(value: float, is_shown: bool) -> None:
    (line,) = summary_of(a=run(number(value, 0.1)), b=run(number(value + 0.01, 0.1))).leaderboard
    for entry in line.entries:
        assert entry.strip
        assert (entry.strip.zero > 0) is is_shown
        assert entry.strip.interval
        if is_shown:
            assert entry.strip.interval[0] <= entry.strip.zero <= entry.strip.interval[1]


def test_what_a_measure_means_is_told_once_where_the_runs_agree() -> None:
    def meanings(*texts: str) -> list[str]:
        runs = {str(place): run(number(meaning=text)) for place, text in enumerate(texts)}
        return [line.meaning for line in summarise_comparison(compare(runs), runs).leaderboard]

    assert meanings("How far. And more.", "How far. And more.") == ["How far."]
    assert meanings("How far", "How far") == ["How far"]
    assert meanings("How far of a.", "How far of b.") == [""]


@pytest.mark.parametrize(("count", "layout"), [(2, "few"), (5, "few"), (6, "many")])
def test_few_runs_stand_in_columns_and_many_below_each_other(count: int, layout: str) -> None:
    page = page_of(**{f"run{place}": run(number(place)) for place in range(count)})
    assert f'class="leaderboard {layout}"' in page
    assert all(f">run{place}</bdi>" in page for place in range(count))


@pytest.mark.parametrize(("first", "second"), [(0.0, 0.0), (1e308, -1e308), (1.7e308, 1.6e308), (0.0, 5e-324)])
def test_strips_of_values_without_a_scale_do_not_break_the_page(first: float, second: float) -> None:
    page = page_of(a=run(number(first, None)), b=run(number(second, None)))
    assert "nan" not in page
    assert "inf" not in "".join(re.findall("<svg.*?</svg>", page, re.DOTALL))


def test_all_rows_are_on_the_page_with_every_value() -> None:
    evaluations = {name: big_evaluation(seed, attributes=3) for seed, name in enumerate("ab")}
    page = page_of(**evaluations)
    exact = [attributes["value"] for tag, attributes in Elements(page).elements if tag == "data"]
    assert sorted(map(str, exact)) == sorted(
        repr(each.value) for evaluation in evaluations.values() for each in evaluation.measurements
    )
    for each in evaluations["b"].measurements:
        assert quantity(each).interval in page
    assert page.count("Attribute_2") == 10


def test_the_verdict_and_how_it_was_made_are_told_of_each_run() -> None:
    long = "A reason. " * 100
    evaluations = {
        "a": run(number(), seed=123, versions={"torch": "9.8.7"}, command=["augface", "it's"], warnings=["Mind it."]),
        "b": run(number()).model_copy(
            update={
                "verdict": Verdict(decision="do not use", reason=long),
                "skipped": [Skipped(evaluator="modes", reason="Too few faces.")],
            }
        ),
    }
    text = text_of(page_of(**evaluations))
    for said in ("Whether these faces help was not asked. A test.", "Do not use these faces. A reason. A reason."):
        assert text.count(said) == 2
    assert long.strip() in text
    assert " …" in text[: text.index("Leaderboard")]
    for said in ("seed123", "9.8.7", "augface 'it'\"'\"'s'", "Mind it.", "Not measured: modes: Too few faces."):
        assert said in text


def test_the_page_says_why_nothing_is_ranked_and_the_command_still_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = saved(tmp_path, a=run(number(protocol={"k": 3})), b=run(number(protocol={"k": 5})))
    out = tmp_path / "pages/page.HTML"
    assert main(["compare", *runs, "--out", str(out)]) == 3
    printed = capsys.readouterr()
    assert "nothing can be ranked" in printed.err
    assert "page.HTML" in printed.out
    text = text_of(out.read_text(encoding="utf-8"))
    assert "Nothing can be ranked. Kernel distance: k: 3 and 5." in text
    assert "k: 3 and 5Kernel distance" in text
    assert "★ 1 the best" not in text


@pytest.mark.parametrize("count", [2, 3])
def test_runs_without_measurements_have_a_page(count: int) -> None:
    page = page_of(**{f"run{place}": run() for place in range(count)})
    assert "Nothing can be ranked. the runs have no measurements" in text_of(page)
    assert "<details" in page
    assert "★ 1" in page_of(a=run(number(0.4)), b=run(number(0.5)), c=run())


def test_missing_numbers_are_dashes() -> None:
    page = page_of(a=run(number(float("nan"))), b=run(number(0.5)), c=run(number(0.6)), d=run())
    assert rows_of_leaderboard(page)[0][0] == "a –"
    assert rows_of_leaderboard(page)[0][3] == "d –"
    assert "nan" not in text_of(page).lower().split()


def test_the_same_runs_give_the_same_page(tmp_path: Path) -> None:
    evaluations = {"a": with_grids(grid(1)), "b": with_grids(grid(2), value=0.6)}
    paths = saved(tmp_path, **evaluations)
    page, again = tmp_path / "page.html", tmp_path / "again.html"
    assert main(["compare", *paths, "--out", str(page)]) == main(["compare", *paths, "--out", str(again)]) == 0
    assert page.read_bytes() == again.read_bytes()
    assert page.read_text(encoding="utf-8") == page_of(**evaluations)


def hostile_runs() -> dict[str, Evaluation]:
    evaluation = hostile_evaluation()
    mine = [number(value, name=HOSTILE, evaluator=HOSTILE, meaning=HOSTILE) for value in (0.4, 0.5)]
    return {
        f"{HOSTILE}{place}": evaluation.model_copy(
            update={
                "measurements": [
                    each,
                    number(each.value, protocol={HOSTILE: f"{HOSTILE}{place}"}),
                    *evaluation.measurements,
                ]
            }
        )
        for place, each in enumerate(mine)
    }


def test_hostile_names_stay_text_on_the_page() -> None:
    evaluations = hostile_runs()
    page = render_comparison(compare(evaluations), evaluations)
    assert "<script>alert" not in page
    parsed = Elements(page)
    assert sum(tag == "script" for tag, _ in parsed.elements) == 1
    assert all(not name.startswith("on") for _, attributes in parsed.elements for name in attributes)
    text = "".join(parsed.text)
    assert f"{HOSTILE}0" in text
    assert f"{HOSTILE}1" in text
    # whatever turns text around is alone with itself
    turning = re.sub(r"<bdi>[^<]*</bdi>|<code>[^<]*</code>|<[^>]*>", "", page)
    assert "\u202e" not in turning
    assert_loads_nothing(page)


def test_half_a_surrogate_pair_can_be_written_on_the_page() -> None:
    half = json.loads('"\\ud800"')
    page_of(a=run(number(0.4), title=half), b=run(number(0.5), name=half)).encode()


def test_tables_of_the_page_have_captions_and_headers() -> None:
    page = page_of(a=big_evaluation(0, 2), b=big_evaluation(1, 2))
    assert page.count("<table") == page.count("<caption") == 6
    for attributes in (attributes for tag, attributes in Elements(page).elements if tag == "th"):
        assert attributes.get("scope") in {"col", "row", "rowgroup"}


def test_folded_tables_tell_ranks_ways_and_why_there_are_none() -> None:
    page = page_of(
        a=run(number(0.4, name="ranked"), number(0.4, name="odd", direction="higher")),
        b=run(number(0.5, name="ranked"), number(0.5, name="odd")),
    )
    text = text_of(page)
    assert "Rankedlower is better★ 1 0.400 0.390 to 0.4102 0.500 0.490 to 0.510" in text
    assert "OddNot ranked: direction: higher and lower 0.400 0.390 to 0.410 0.500" in text
    assert "No key measure can be ranked; what can stands below." in text


def test_a_remark_names_the_first_of_many_and_counts_the_others() -> None:
    def evaluation(k: int) -> Evaluation:
        unlike = [number(name=f"m{place:02}", protocol={"k": k}) for place in range(15)]
        return run(number(), *unlike, number(name="rare", protocol={"l": k}))

    page = text_of(page_of(a=evaluation(1), b=evaluation(2)))
    assert "k: 1 and 2M00, M01, M02, M03, M04, M05, M06, M07, M08, M09, M10, M11 and 3 more" in page
    assert "l: 1 and 2Rare" in page
    noted = text_of(
        page_of(
            a=run(number(0.4), number(0.4, name="b")),
            b=run(number(0.5, protocol={"k": 3, "seed": 7}), number(0.5, name="b", protocol={"k": 3, "seed": 7})),
        )
    )
    assert "seed: 0 and 7All of them" in noted
    assert "What cannot be ranked" not in noted


# The page's pictures


def test_sheets_of_one_name_stand_beneath_each_other_samples_first() -> None:
    def evaluation(seed: int) -> Evaluation:
        return with_grids(grid(seed + 2, name="missed", section="prdc"), grid(seed), grid(9, name="samples-real"))

    a, b = evaluation(1), evaluation(2)
    alone = grid(5, name="alone")
    b = b.model_copy(update={"artifacts": [alone, *b.artifacts]})
    summary = summary_of(a=a, b=b)
    assert [gallery.title for gallery in summary.galleries] == [
        "The sheet samples-made",
        "The sheet samples-real",
        "The sheet missed",
    ]
    assert [[sheet.runs for sheet in gallery.sheets] for gallery in summary.galleries] == [
        ["a", "b"],
        ["a, b"],  # the very same picture
        ["a", "b"],
    ]
    assert [gallery.is_sample for gallery in summary.galleries] == [True, True, False]
    page = page_of(a=a, b=b)
    for each in (*a.artifacts, *b.artifacts):
        assert isinstance(each, ImageGrid)
        assert page.count(each.webp) == (each is not alone)
    assert "Sheets that only one run has are in its own report: 1." in text_of(page)
    assert page.count('<details class="gallery" open>') == 2
    assert "real people" not in text_of(page)


def test_real_people_are_told_and_left_out_on_request(tmp_path: Path) -> None:
    evaluations = {
        name: with_grids(grid(seed), grid(seed + 5, name="samples-real", real=True), value=seed)
        for seed, name in enumerate("ab", start=1)
    }
    page = page_of(**evaluations)
    assert "This page shows real people." in page
    out = tmp_path / "page.html"
    assert main(["compare", *saved(tmp_path, **evaluations), "--out", str(out), "--no-real-images"]) == 0
    without = out.read_text(encoding="utf-8")
    assert "This page shows real people." not in without
    assert "Pictures of real people were left out" in without
    assert "because they show real people: The sheet samples-real (a); The sheet samples-real (b)" in text_of(without)
    for evaluation in evaluations.values():
        for each in evaluation.artifacts:
            assert isinstance(each, ImageGrid)
            assert each.webp in page
            assert (each.webp in without) is not each.shows_real_people


def test_pictures_beyond_the_budget_are_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluations = {
        name: with_grids(grid(seed, name="missed", section="prdc"), grid(seed), grid(seed + 9, name="samples-real"))
        for seed, name in enumerate("abc")
    }
    grids = [each for evaluation in evaluations.values() for each in evaluation.artifacts]
    made = [each.webp for each in grids if isinstance(each, ImageGrid) and each.name == "samples-made"]
    monkeypatch.setattr(leaderboard, "PICTURE_CHARACTERS", sum(map(len, made[:2])))
    summary = summary_of(**evaluations)
    assert [[sheet.grid.webp for sheet in gallery.sheets] for gallery in summary.galleries] == [made[:2]]
    assert summary.galleries[0].absent == ["c"]
    assert summary.too_large == ["The sheet samples-real", "The sheet missed"]
    text = text_of(page_of(**evaluations))
    assert "Not shown, because the page would be too large: c. Each run's own report has its sheet." in text
    assert "each run's own report has them: The sheet samples-real; The sheet missed." in text
    monkeypatch.setattr(leaderboard, "PICTURE_CHARACTERS", 10)
    assert "The sheet samples-made; The sheet samples-real" in text_of(page_of(**evaluations))


def test_ten_runs_of_forty_attributes_with_many_pictures_make_a_small_page_soon() -> None:
    random = np.random.default_rng(0)

    def noise(place: int) -> ImageGrid:
        sheet = grid(0, name=f"sheet{place}", section="samples" if place == 9 else "prdc")
        return sheet.model_copy(update={"webp": base64.b64encode(random.bytes(60_000)).decode()})

    evaluations = {
        f"run number {seed}": big_evaluation(seed).model_copy(
            update={"artifacts": [noise(place) for place in range(10)]}
        )
        for seed in range(10)
    }
    started = time.process_time()
    page = page_of(**evaluations)
    assert time.process_time() - started < 15
    assert len(page.encode()) < 5_000_000
    assert page.count("<data") == 10 * 410
    assert [gallery.title for gallery in summary_of(**evaluations).galleries][:1] == ["The sheet sheet9"]
    assert "would be too large" in page


def test_five_hundred_attributes_are_cut_and_said() -> None:
    evaluations = {f"run{seed}": big_evaluation(seed, 500) for seed in range(5)}
    started = time.process_time()
    page = page_of(**evaluations)
    assert time.process_time() - started < 15
    assert len(page.encode()) < 5_000_000
    assert "The first 1994 of 5000; --out FILE.csv writes all." in text_of(page)


# The page's command


def test_the_page_is_asked_for_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = saved(tmp_path, a=run(number(0.4)), b=run(number(0.5)))
    (tmp_path / "folder.html").mkdir()
    for words, code, said in (
        (["--no-real-images"], 2, "needs --out FILE.html"),
        (["--no-real-images", "--out", str(tmp_path / "table.csv")], 2, "needs --out FILE.html"),
        (["--out", str(tmp_path / "folder.html")], 4, "is a folder"),
    ):
        assert main(["compare", *runs, *words]) == code
        assert said in capsys.readouterr().err
    assert not (tmp_path / "table.csv").exists()
