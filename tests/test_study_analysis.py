"""From answers to an answer: which of them count, what they say, and a report that says it in its first line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from study_example import small_study

from augface.errors import DataError
from augface.evaluators import loaded_evaluators
from augface.metrics.crossed import CrossedEstimate
from augface.metrics.signal_detection import area_of_d_prime
from augface.report import terminal_summary
from augface.results import Evaluation, Measurement, Section, Verdict
from augface.results.comparison import compare
from augface.study.analysis import SENTENCES, _concluded, analyse, headline
from augface.study.answers import Answer, Answers
from augface.study.crowd import Crowd
from augface.study.design import Trial
from augface.study.exhibits import called_real
from augface.study.folder import ANSWERS, Group, Study
from augface.study.measures import centred, measure
from augface.study.records import CHECKS_FAILED, FAST, LATE, UNFINISHED, collect
from augface.study.simulate import SimulatedRaters, simulate


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    with pytest.MonkeyPatch.context() as patch:
        return small_study(tmp_path_factory.mktemp("analysis"), patch)


@pytest.fixture
def answers(study: Study) -> Iterator[Answers]:
    for path in study.folder.glob(f"{ANSWERS}*"):
        path.unlink()
    opened = Answers(study)
    yield opened
    opened.close()


PEOPLE = {name: text.format(who="people") for name, text in SENTENCES.items()}
SIMULATED = {name: text.format(who="simulated raters") for name, text in SENTENCES.items()}


def right_answer(study: Study, trial: Trial) -> str:
    """What somebody says who is never wrong."""
    pictures = [study.plan.pictures[image] for image in trial.images]
    fake = [one.role == "distorted" or one.kind > 0 for one in pictures]
    if trial.block == "rating":
        return "1" if pictures[0].role == "distorted" else "2" if fake[0] else "5"
    if len(fake) == 2:
        return "same" if fake[0] == fake[1] else "right" if fake[0] else "left"
    return "generated" if fake[0] else "real"


def give(
    study: Study,
    answers: Answers,
    slot: int,
    says: Callable[[Study, Trial], str] = right_answer,
    *,
    group: Group = "rater",
    most: int | None = None,
    **detail: float,
) -> None:
    """A rater who answers everything, or the first so many."""
    trials = study.schedule_of(group).trials(slot)[:most]
    said = [
        (
            f"{group}-{slot}-{trial.number}",
            Answer(trial.number, says(study, trial), {"rt": 800.0, "exposure": 200.0, **detail}),
        )
        for trial in trials
    ]
    answers.add_session(group, slot, f"{group}:{slot}", {}, said)


def value(evaluation: Evaluation, task: str, name: str) -> float:
    (found,) = evaluation.select(task, name)
    assert found.value is not None
    return found.value


# What counts


def test_only_test_trials_of_attentive_raters_count(study: Study, answers: Answers) -> None:
    give(study, answers, 0)
    give(
        study,
        answers,
        1,
        lambda study, trial: "real" if trial.block in ("flash", "untimed") else right_answer(study, trial),
    )
    records = collect(study, answers)
    assert list(records.raters["counts"]) == [True, False]
    assert list(records.raters["passed"]) == [1.0, 0.5]
    assert set(records.answers["rater"]) == {1}
    assert set(records.answers["role"]) == {"test", "control", "repeat"}
    assert CHECKS_FAILED in records.left_out


def test_late_fast_and_unfinished_answers_do_not_count(study: Study, answers: Answers) -> None:
    give(study, answers, 0, frames_asked=5.0, frames_shown=7.0)
    give(study, answers, 1, rt=50.0)
    give(study, answers, 2, most=30)  # all of `flash`, a little of `untimed`
    records = collect(study, answers)
    flash = sum(trial.block == "flash" and trial.role == "test" for trial in study.schedule.trials(0))
    assert records.left_out[LATE] == flash
    assert records.left_out[FAST] > 50
    assert records.left_out[UNFINISHED] > 0
    assert set(records.of("flash")["rater"]) == {3}
    assert set(records.of("untimed")["rater"]) == {1}


def test_people_are_never_mixed_with_simulated_raters_or_previews(study: Study, answers: Answers) -> None:
    give(study, answers, 0, group="simulated")
    give(study, answers, 0, group="preview")
    assert collect(study, answers).simulated
    give(study, answers, 3)
    give(study, answers, 1, group="file")
    records = collect(study, answers)
    assert not records.simulated
    assert sorted(records.raters["group"]) == ["file", "rater"]
    evaluation = analyse(study, answers)
    assert any("anybody could have written" in warning for warning in evaluation.provenance["warnings"])
    assert not any("simulated" in warning for warning in evaluation.provenance["warnings"])


def test_who_withdrew_is_gone(study: Study, answers: Answers) -> None:
    give(study, answers, 0)
    give(study, answers, 1)
    answers.withdraw("rater:0", "rater", 0)
    assert list(collect(study, answers).raters["rater"]) == [2]
    answers.withdraw("rater:1", "rater", 1)
    with pytest.raises(DataError, match="Nobody has answered"):
        analyse(study, answers)


def test_answers_of_inattentive_raters_alone_are_no_study(study: Study, answers: Answers) -> None:
    give(study, answers, 0, lambda study, trial: "real" if trial.block == "untimed" else "skip")
    with pytest.raises(DataError, match="None of the 1 raters"):
        analyse(study, answers)


# What they say


def test_raters_who_are_never_wrong(study: Study, answers: Answers) -> None:
    for slot in range(6):
        give(study, answers, slot)
    evaluation = analyse(study, answers)
    assert evaluation.verdict.sentence == PEOPLE["yes"]
    assert value(evaluation, "untimed", "error_rate") == 0
    assert value(evaluation, "untimed", "fool_rate") == 0
    assert value(evaluation, "untimed", "detection_gap") == 1
    assert value(evaluation, "untimed", "agreement") == 1
    assert value(evaluation, "untimed", "repeated_answers") == 1
    assert value(evaluation, "pairs", "preference_real") == 0
    assert value(evaluation, "pairs", "repeated_answers") == 1
    assert value(evaluation, "rating", "mean_opinion_score") == 2
    assert value(evaluation, "rating", "score_difference") == -3
    assert value(evaluation, "flash", "threshold") < 200
    (score,) = evaluation.select("rating", "mean_opinion_score")
    assert score.baseline is not None
    assert score.baseline.value == 5
    assert any("worths" in one.reason for one in evaluation.skipped)  # nobody ever prefers a generated face


def test_raters_who_are_always_wrong_are_not_those_who_guess(study: Study, answers: Answers) -> None:
    def wrong(study: Study, trial: Trial) -> str:
        right = right_answer(study, trial)
        turned = {"real": "generated", "generated": "real", "left": "right", "right": "left"}
        return right if trial.role == "check" else turned.get(right, right)

    for slot in range(6):
        give(study, answers, slot, wrong)
    evaluation = analyse(study, answers)
    assert evaluation.verdict.sentence == PEOPLE["reversed"]
    assert value(evaluation, "untimed", "error_rate") == 1
    assert value(evaluation, "pairs", "preference_real") == 1


def estimate(value: float, error: float) -> CrossedEstimate:
    return CrossedEstimate(value, error, 30.0, 30, 50, 600)


def test_the_answer_needs_a_difference_or_an_equivalence_that_is_shown() -> None:
    assert _concluded(estimate(0.3, 0.05), True, False) == "yes"
    assert _concluded(estimate(0.03, 0.01), True, True) == "hardly"
    assert _concluded(estimate(-0.3, 0.05), True, False) == "reversed"
    assert _concluded(estimate(0.01, 0.02), False, True) == "no"
    assert _concluded(estimate(0.05, 0.05), False, False) == "unclear"
    assert "not asked" in headline(False, {})
    assert "not answers enough" in headline(True, {})


def test_guessing_raters_are_shown_to_guess_where_there_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = small_study(tmp_path, monkeypatch, tasks=("untimed",), margin=0.15, raters=40)
    answers = Answers(study)
    simulate(study, answers, SimulatedRaters(study, Crowd((0.5,), image=0.2), 60, 1), 60)
    evaluation = analyse(study, answers)
    assert evaluation.verdict.sentence == SIMULATED["no"]
    (largest,) = evaluation.select("untimed", "largest_gap")
    assert largest.verdict == "pass"
    assert largest.value is not None
    assert largest.value < 0.3
    assert "No person took part" in evaluation.provenance["warnings"][0]
    narrow = Study(study.folder, study.plan.model_copy(update={"margin": 0.01}))
    assert analyse(narrow, answers).verdict.sentence == SIMULATED["unclear"]
    answers.close()


def test_several_generators_are_answered_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, generators=2)
    answers = Answers(study)
    simulate(study, answers, SimulatedRaters(study, Crowd((0.5, 0.95)), 8, 3), 8)
    evaluation = analyse(study, answers)
    assert evaluation.verdict.sentence == (
        "Simulated raters can distinguish fake2 from real faces. It is not clear for fake1."
    )
    gaps = {tuple(one.group): one.value or 0.0 for one in evaluation.select("untimed", "detection_gap")}
    assert set(gaps) == {("fake1",), ("fake2",)}
    assert gaps["fake2",] > gaps["fake1",] + 0.3
    worths = [tuple(one.group) for one in evaluation.measurements if one.name == "worth_real"]
    assert worths == [("fake1",)]
    assert any("worths of fake2" in one.reason for one in evaluation.skipped)  # real faces always win against them
    html = evaluation.to_html()
    scorecard = html[html.index('id="scorecard"') :]
    scorecard = scorecard[: scorecard.index("</table>")]
    assert scorecard.count("fake1") == scorecard.count("fake2") > 3
    answers.close()


def test_the_measures_are_those_of_the_simulated_design(study: Study, answers: Answers) -> None:
    """What is proved by long simulation (experiments/study_proofs.py) is what a report says."""
    from augface.metrics.signal_detection import detection
    from augface.study.power import kinds_of, planned_trials

    raters = SimulatedRaters(study, Crowd((0.8,)), study.plan.raters, 5)
    simulate(study, answers, raters, study.plan.raters)
    found = measure(collect(study, answers))["untimed"].detections["fake1"]
    trials, kinds = planned_trials(study.plan, study.schedule, "untimed", 1), kinds_of(study.plan)
    said = [
        raters.answer(int(slot), trial, None).answer for slot, trial in zip(trials.raters, trials.rows, strict=True)
    ]
    proved = detection(np.array(said) == "generated", kinds[trials.left] == 1, trials.raters, trials.items)
    for name in ("error_rate", "gap", "d_prime"):
        assert tuple(getattr(found, name)) == pytest.approx(tuple(getattr(proved, name)))


def test_ratings_are_centred_by_rater_and_shares_of_few_answers_are_drawn_in(study: Study, answers: Answers) -> None:
    def strict(study: Study, trial: Trial) -> str:
        right = right_answer(study, trial)
        return {"5": "3"}.get(right, right) if trial.block == "rating" else right

    for slot in range(6):
        give(study, answers, slot, strict if slot % 2 else right_answer)
    records = collect(study, answers)
    ratings = records.of("rating")
    means = centred(ratings).groupby([ratings["rater"], ratings["left_kind"]]).mean().groupby(level=0).mean()
    assert means.max() - means.min() < 1e-9
    faces = called_real(records)
    assert set(faces["share"]) == {0.0, 1.0}
    assert (faces["shrunk"] - faces["share"]).abs().max() < 1e-9  # nobody disagrees: nothing to draw in


def test_faces_seen_by_few_are_ranked_with_care() -> None:
    from augface.study.exhibits import _shrunk

    random = np.random.default_rng(0)
    truth = random.normal(0.5, 0.05, 200).clip(0, 1)
    counts = np.full(200, 6)
    shares = random.binomial(counts, truth) / counts
    drawn = _shrunk(shares, counts)
    assert np.square(drawn - truth).mean() < 0.2 * np.square(shares - truth).mean()


# The report


def test_the_report_answers_in_its_first_line_and_shows_the_faces(study: Study, answers: Answers) -> None:
    simulate(study, answers, SimulatedRaters(study, Crowd((0.95,)), 6, 2), 6)
    evaluation = Evaluation.model_validate_json(analyse(study, answers).to_json())
    html = evaluation.to_html()
    first = html[html.index("<h1") : html.index("</h1>")]
    assert first.endswith(f"<bdi>{SIMULATED['yes']}</bdi>")
    for said in (
        "without a time limit",
        "Two faces side by side",
        "after a brief look",
        "called real most",
        "Every rater",
    ):
        assert said in html
    assert "This page shows real people" in html
    assert "This page shows real people" not in evaluation.to_html(real_images=False)
    assert terminal_summary(evaluation).startswith(SIMULATED["yes"].upper())


def test_two_studies_are_compared_number_by_number(study: Study, answers: Answers) -> None:
    simulate(study, answers, SimulatedRaters(study, Crowd((0.95,)), 6, 2), 6)
    seen = analyse(study, answers)
    answers.withdraw("nobody", "simulated", 99)
    for path in study.folder.glob(f"{ANSWERS}*"):
        path.unlink()
    others = Answers(study)
    simulate(study, others, SimulatedRaters(study, Crowd((0.5,)), 6, 4), 6)
    rows = {
        (row.key.evaluator, row.key.name): row for row in compare({"good": analyse(study, others), "bad": seen}).rows
    }
    row = rows["untimed", "error_rate"]
    assert row.ranks == {"good": 1, "bad": 2}
    others.close()


def results_of_a_classifier(**about: object) -> Evaluation:
    auc = Measurement(evaluator="a classifier", name="auc", value=0.97, low=0.95, high=0.99, direction="lower")
    section = Section.model_validate({"key": "a classifier", "title": "", "meaning": "", "separability": "auc"} | about)
    return Evaluation(verdict=Verdict(decision="not assessed", reason=""), measurements=[auc], sections=[section])


def test_people_are_compared_with_a_classifier(study: Study, answers: Answers) -> None:
    simulate(study, answers, SimulatedRaters(study, Crowd((0.6,)), 6, 2), 6)
    evaluation = analyse(study, answers, classifier=results_of_a_classifier())
    (lead,) = evaluation.select("untimed", "classifier_lead")
    people = area_of_d_prime(value(evaluation, "untimed", "d_prime"))
    assert lead.value == pytest.approx(0.97 - people)
    assert lead.low is not None
    assert lead.low > 0
    assert "no results of a classifier" in analyse(study, answers).skipped[-1].reason
    without = analyse(study, answers, classifier=results_of_a_classifier(separability=""))
    assert "no classifier" in without.skipped[-1].reason
    assert not without.select("untimed", "classifier_lead")


def test_a_classifier_of_augface_can_be_compared_with() -> None:
    named = [kind.section for kind in loaded_evaluators().values() if kind.section.separability]
    assert named
    assert all(section.separability in section.key_measures for section in named)
