"""The statistics of human studies, on data whose answer is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from augface.errors import DataError
from augface.metrics.agreement import krippendorff_alpha
from augface.metrics.crossed import crossed_difference, crossed_estimate, crossed_mean, pigeonhole_bootstrap
from augface.metrics.equivalence import EQUIVALENCE_LEVEL, equivalence_p_value
from augface.metrics.intervals import proportion_interval
from augface.metrics.paired_comparisons import davidson, unconnected
from augface.metrics.psychometric import threshold
from augface.metrics.signal_detection import area_of_d_prime, detection, expected_d_prime
from augface.metrics.staircase import EXPOSURES, Staircase, simulated_share_right

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def crossing(raters: int, items: int) -> tuple[Labels, Labels]:
    """Everybody judges everything."""
    return np.repeat(np.arange(raters), items), np.tile(np.arange(items), raters)


def dealt(raters: int, items: int, each: int, random: np.random.Generator) -> tuple[Labels, Labels]:
    """Everybody judges some of them, all equally often."""
    rows = np.concatenate([(rater * each + np.arange(each)) % items for rater in range(raters)])
    return np.repeat(np.arange(raters), each), random.permutation(items)[rows]


# Crossed raters and items


def test_the_standard_error_is_that_of_the_variance_components() -> None:
    """In a complete design (MSR + MSI - MSE) / N, as every textbook on crossed random effects has it."""
    random = np.random.default_rng(0)
    raters, items = 12, 30
    table = random.normal(size=(raters, 1)) + 0.7 * random.normal(size=(1, items)) + random.normal(size=(raters, items))
    who, what = crossing(raters, items)
    found = crossed_mean(table.ravel(), who, what)
    deviations = table - table.mean()
    over_raters = items * np.square(deviations.mean(axis=1)).sum() / (raters - 1)
    over_items = raters * np.square(deviations.mean(axis=0)).sum() / (items - 1)
    rest = np.square(deviations).sum() / table.size  # of single answers, about their grand mean
    assert found.value == pytest.approx(table.mean())
    assert found.standard_error**2 == pytest.approx((over_raters + over_items - rest) / table.size)
    assert (found.raters, found.items, found.answers) == (12, 30, 360)


def one_study(random: np.random.Generator) -> tuple[Floats, Labels, Labels]:
    """Answers, right with chance 0.7, of 30 raters to 20 of 60 items each."""
    who, what = dealt(30, 60, 20, random)
    spread = np.sqrt(1 + 0.3**2 + 0.6**2)
    rater, item = 0.3 * random.standard_normal(30), 0.6 * random.standard_normal(60)
    chance = special.ndtr(special.ndtri(0.7) * spread + rater[who] + item[what])
    return (random.random(len(who)) < chance).astype(np.float64), who, what


def test_intervals_hold_over_new_raters_and_new_items_where_simple_ones_do_not() -> None:
    held = []
    for seed in range(250):
        answers, who, what = one_study(np.random.default_rng([1, seed]))
        by_rater = np.array([answers[who == rater].mean() for rater in range(30)])
        naive = proportion_interval(answers.sum(), len(answers))
        reach = 2.045 * by_rater.std(ddof=1) / 30**0.5
        intervals = [(naive.low, naive.high), (answers.mean() - reach, answers.mean() + reach)]
        intervals.append(crossed_mean(answers, who, what).share_interval()[1:])
        held.append([low <= 0.7 <= high for low, high in intervals])
    wilson, raters_only, crossed = np.mean(held, axis=0)
    assert wilson < 0.85
    assert raters_only < 0.91
    assert 0.915 <= crossed <= 0.985


def test_the_pigeonhole_bootstrap_holds_and_is_wider() -> None:
    answers, who, what = one_study(np.random.default_rng(5))
    found = pigeonhole_bootstrap(
        lambda weights: float(weights @ answers / weights.sum()),
        who,
        what,
        random=np.random.default_rng(0),
        repeats=300,
    )
    own = crossed_mean(answers, who, what).interval()
    assert found.value == pytest.approx(own.value)
    assert 1.1 < (found.high - found.low) / (own.high - own.low) < 1.8


def test_a_share_of_all_is_not_certain() -> None:
    who, what = crossing(6, 10)
    found = crossed_mean(np.ones(60), who, what)
    assert found.standard_error == 0
    low, high = found.share_interval()[1:]
    assert high == 1
    assert 0.3 < low < 0.75  # six raters, not sixty answers


def test_one_rater_tells_nothing_of_others() -> None:
    found = crossed_mean([0.0, 1.0, 1.0], [0, 0, 0], [0, 1, 2])
    assert np.isnan(found.standard_error)
    assert np.isnan(found.p_value())
    assert found.share_interval()[1:] == (0, 1)
    assert equivalence_p_value(found, 0.1) == 1


def test_what_cannot_be_estimated_is_said() -> None:
    with pytest.raises(DataError, match="no answers"):
        crossed_mean([], [], [])
    with pytest.raises(DataError, match="one length"):
        crossed_estimate(0.0, [1.0], [0, 1], [0, 1])
    with pytest.raises(DataError, match="both sides"):
        crossed_difference([1.0, 0.0], [True, True], [0, 1], [0, 1])


@pytest.mark.parametrize(("gap", "most", "least"), [(0.2, 0.08, 0.0), (0.0, 1.0, 0.35)])
def test_equivalence_is_claimed_where_it_holds_and_not_at_the_margin(gap: float, most: float, least: float) -> None:
    claimed = 0
    for seed in range(200):
        random = np.random.default_rng([2, seed])
        who, what = dealt(40, 80, 20, random)
        who, what = np.concatenate([who, who]), np.concatenate([what, what + 80])
        generated = np.arange(len(who)) >= len(who) // 2
        rater, item = 0.3 * random.standard_normal(40), 0.5 * random.standard_normal(160)
        spread = np.sqrt(1 + 0.3**2 + 0.5**2)
        share = np.where(generated, 0.5 + gap / 2, 0.5 - gap / 2)
        chance = special.ndtr(special.ndtri(share) * spread + rater[who] + item[what])
        answers = random.random(len(who)) < chance
        claimed += equivalence_p_value(crossed_difference(answers, generated, who, what), 0.2) < EQUIVALENCE_LEVEL
    assert least <= claimed / 200 <= most


# Signal detection


def answers_of(hits: int, misses: int, alarms: int, rejections: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    called = np.repeat([1.0, 0.0, 1.0, 0.0], [hits, misses, alarms, rejections])
    return called, np.repeat([True, False], [hits + misses, alarms + rejections])


def test_sensitivity_and_bias_are_those_of_the_textbook() -> None:
    called, generated = answers_of(841, 159, 159, 841)
    who, what = np.arange(2000) % 40, np.arange(2000) // 4
    found = detection(called, generated, who, what)
    assert found.d_prime.value == pytest.approx(2.0, abs=0.01)
    assert found.bias.value == pytest.approx(0.0, abs=0.01)
    assert found.error_rate.value == pytest.approx(0.159)
    assert found.fool_rate.value == pytest.approx(0.159)
    assert found.gap.value == pytest.approx(0.682)
    assert area_of_d_prime(expected_d_prime(0.841)) == pytest.approx(special.ndtr(2 / 2**0.5), abs=1e-3)


def test_leaning_to_real_moves_the_bias_and_not_the_sensitivity() -> None:
    called, generated = answers_of(500, 500, 23, 977)
    found = detection(called, generated, np.arange(2000) % 40, np.arange(2000) // 4)
    assert found.d_prime.value == pytest.approx(2.0, abs=0.03)
    assert found.bias.value == pytest.approx(1.0, abs=0.02)


def test_perfect_answers_stay_finite() -> None:
    called, generated = answers_of(100, 0, 0, 100)
    found = detection(called, generated, np.arange(200) % 10, np.arange(200))
    assert 4 < found.d_prime.value < 6
    assert found.error_rate.share_interval().high > 0.05


def test_detection_needs_both_kinds() -> None:
    with pytest.raises(DataError, match="both kinds"):
        detection([1.0, 0.0], [True, True], [0, 1], [0, 1])


# Pairs


def test_two_kinds_have_the_closed_form_of_davidson() -> None:
    wins, ties, losses = 120, 60, 40
    outcome = np.repeat([1, 0, -1], [wins, ties, losses])
    count = len(outcome)
    found = davidson(
        np.ones(count, int),
        np.zeros(count, int),
        outcome,
        ["real", "fake"],
        np.arange(count) % 20,
        np.arange(count) % 37,
    )
    assert found.worths["fake"].value == pytest.approx(np.log(wins / losses))
    assert found.tie == pytest.approx(ties / (wins * losses) ** 0.5)


def test_worths_of_three_kinds_are_found() -> None:
    random = np.random.default_rng(0)
    truth, tie = np.array([0.0, -0.8, 0.5]), 0.6
    first, second = random.integers(3, size=(2, 30_000))
    first, second = first[first != second], second[first != second]
    weights = np.exp(np.stack([truth[first], np.log(tie) + (truth[first] + truth[second]) / 2, truth[second]], axis=1))
    weights /= weights.sum(axis=1, keepdims=True)
    outcome = 1 - (random.random(len(first))[:, None] > weights.cumsum(axis=1)).sum(axis=1)
    rows = np.arange(len(first))
    found = davidson(first, second, outcome, ["real", "a", "b"], rows % 100, rows % 997)
    assert found.worths["a"].value == pytest.approx(-0.8, abs=0.06)
    assert found.worths["b"].value == pytest.approx(0.5, abs=0.06)
    assert found.tie == pytest.approx(tie, abs=0.03)
    reach = found.worths["a"].standard_error
    assert 0.01 < reach < 0.05


def test_without_ties_it_is_bradley_and_terrys_model() -> None:
    outcome = np.repeat([1, -1], [30, 10])
    found = davidson(np.zeros(40, int), np.ones(40, int), outcome, ["a", "b"], np.arange(40) % 4, np.arange(40))
    assert found.tie == 0
    assert found.worths["b"].value == pytest.approx(-np.log(3))


def test_kinds_that_nothing_connects_are_named() -> None:
    assert unconnected([0, 1, 0], [1, 0, 2], [1, 1, 1], ["real", "good", "hopeless"]) == ["hopeless"]
    with pytest.raises(DataError, match="hopeless"):
        davidson([0, 1, 0], [1, 0, 2], [1, 1, 1], ["real", "good", "hopeless"], [0, 1, 2], [0, 1, 2])
    with pytest.raises(DataError, match="itself"):
        davidson([0], [0], [1], ["real", "good"], [0], [0])


# Agreement


def test_alpha_is_that_of_a_published_example() -> None:
    """The interval alpha of Krippendorff's example of three coders, 0.811."""
    ratings = [
        [None] * 5 + [3, 4, 1, 2, 1, 1, 3, 3, None, 3],
        [1, None, 2, 1, 3, 3, 4, 3] + [None] * 7,
        [None, None, 2, 1, 3, 4, 4, None, 2, 1, 1, 3, 3, None, 4],
    ]
    given = [(value, rater, item) for rater, row in enumerate(ratings) for item, value in enumerate(row) if value]
    values, raters, items = (np.array(column) for column in zip(*given, strict=True))
    assert krippendorff_alpha(values, raters, items).value == pytest.approx(0.811, abs=5e-4)


def test_alpha_of_agreement_and_of_chance() -> None:
    who, what = crossing(8, 40)
    random = np.random.default_rng(0)
    assert krippendorff_alpha(what % 2, who, what).value == pytest.approx(1)
    chance = krippendorff_alpha(random.integers(2, size=320), who, what)
    assert chance.interval().low < 0 < chance.interval().high
    with pytest.raises(DataError, match="Agreement"):
        krippendorff_alpha(np.ones(320), who, what)


# Brief exposures


def test_the_staircase_settles_where_its_steps_say() -> None:
    even = Staircase(levels=tuple(float(level) for level in 2.0 ** np.linspace(0, 12, 97)), start=60)
    share = simulated_share_right(even, 100.0, 1.0, answers=400, random=np.random.default_rng(0), people=500)
    assert share == pytest.approx(0.75, abs=0.01)
    two_up = Staircase(levels=even.levels, start=60, up=2)
    share = simulated_share_right(two_up, 100.0, 1.0, answers=400, random=np.random.default_rng(0), people=500)
    assert share == pytest.approx(2 / 3, abs=0.01)


def test_a_staircase_that_cannot_be_is_refused() -> None:
    with pytest.raises(DataError, match="start"):
        Staircase(start=len(EXPOSURES))
    with pytest.raises(DataError, match="short to long"):
        Staircase(levels=(2.0, 1.0), start=0)


def climbed(centre: float, people: int, random: np.random.Generator) -> tuple[Floats, Floats, Labels, Labels]:
    """Answers to faces whose exposures followed the answers, of people with thresholds about `centre` (log2 ms)."""
    own = centre + 0.6 * random.standard_normal(people)
    levels, rule = np.log2(EXPOSURES), Staircase()
    level = np.full(people, rule.start)
    exposures, right = np.empty((2, 40, people))
    for number in range(40):
        exposures[number] = levels[level]
        right[number] = random.random(people) < 0.5 + 0.48 * special.ndtr(levels[level] - own + 0.0522)
        level = np.clip(np.where(right[number] > 0, level - rule.down, level + rule.up), 0, len(levels) - 1)
    rows = np.tile(np.arange(people), 40)
    return 2 ** exposures.ravel(), right.ravel(), rows, random.integers(200, size=len(rows))


def test_the_threshold_is_found_and_its_interval_holds() -> None:
    found = [threshold(*climbed(7.0, 20, np.random.default_rng([3, seed]))) for seed in range(25)]
    values = np.array([one.log2_milliseconds.value for one in found])
    assert values.mean() == pytest.approx(7.0, abs=0.12)
    intervals = [one.log2_milliseconds.interval() for one in found]
    assert np.mean([one.low <= 7.0 <= one.high for one in intervals]) >= 0.84
    assert np.mean([one.slope for one in found]) == pytest.approx(1.0, abs=0.25)
    assert np.mean([one.spread for one in found]) == pytest.approx(0.6, abs=0.2)
    one = found[0]
    assert one.share_right(2**one.log2_milliseconds.value) == pytest.approx(0.75)
    assert len(one.people) == 20


def test_people_who_cannot_tell_have_a_threshold_beyond_all_exposures() -> None:
    random = np.random.default_rng(0)
    rows = np.arange(800)
    exposures = np.array(EXPOSURES)[random.integers(8, 16, size=800)]
    found = threshold(exposures, random.random(800) < 0.5, rows % 20, rows)
    assert found.log2_milliseconds.interval().low > np.log2(EXPOSURES[-1]) - 0.5


def test_a_threshold_of_one_person_is_refused() -> None:
    with pytest.raises(DataError, match="two raters"):
        threshold([100.0, 200.0], [True, False], [0, 0], [0, 1])
