"""What to do next: twelve planted results, each with the advice that must come first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from augface.evaluation.advice import MOST, advise
from augface.evaluation.verdict import decide
from augface.evaluators.downstream import CEILING
from augface.rebalancing.suggestions import main_reason, suggestions, without_training
from augface.results import REBALANCING, Advice, Baseline, Measurement, Severity, Verdict
from augface.results.severity import FAIL, WARN, severity

COMMAND = "augface rebalance toy --attr Eyeglasses --budget 5m --seed 3 --out runs/one"
HALVES = 0.1
"""Kernel distance of the two halves of real faces that differ most."""

Plant = Callable[[dict[str, Measurement]], None]


def number(
    evaluator: str,
    name: str,
    value: float,
    *,
    half: float = 0.01,
    real: float | None = None,
    verdict: Severity = "pass",
    **more: Any,
) -> Measurement:
    baseline = None if real is None else Baseline(value=real, low=real - half, high=real + half, n=500)
    return Measurement(
        evaluator=evaluator,
        name=name,
        value=value,
        low=value - half,
        high=value + half,
        baseline=baseline,
        verdict=verdict,
        n_real=1000,
        n_fake=1000,
        **{"direction": "lower", **more},
    )


def healthy() -> dict[str, Measurement]:
    """Faces as good as real ones, whose effect on a classifier is seen to be small."""
    found = {"control": "class weights", "treatment": "synthetic", "smallest_visible_effect": 0.008, "without": 0.85}
    return {
        "distance": number("fidelity", "kernel_distance", 0.002, half=0.001, real=0.001, found={"halves": HALVES}),
        "precision": number("prdc", "precision", 0.78, real=0.77),
        "recall": number("prdc", "recall", 0.74, real=0.75),
        "detail": number("real_vs_fake", "fine_detail", 0.0, real=0.0),
        "adherence": number("adherence", "adherence", 0.96, real=0.97, attribute="Eyeglasses"),
        "duplicates": number("modes", "duplicate_share", 0.0, half=0.0, alarm=False),
        "missing": number("modes", "missing_share", 0.0, half=0.0, alarm=False),
        "copies": number("memorisation", "copied_share", 0.0, half=0.0, alarm=False),
        "effect": number(
            "downstream", "effect", 0.002, half=0.005, attribute="Eyeglasses", found=found, verdict="info"
        ),
        "plain": number("downstream", "average_precision", 0.85, arm="plain", attribute="Eyeglasses"),
        "weights": number("downstream", "average_precision", 0.853, arm="class weights", attribute="Eyeglasses"),
        "yield": number(REBALANCING, "yield", 0.9, half=0.01, group={"Eyeglasses": True}),
        "yield_attribute": number(REBALANCING, "yield_attribute", 0.95, group={"Eyeglasses": True}),
        "yield_plausible": number(REBALANCING, "yield_plausible", 0.97, group={"Eyeglasses": True}),
        "labels": number(REBALANCING, "label_accuracy", 0.93, attribute="Eyeglasses"),
    }


def change(numbers: dict[str, Measurement], name: str, value: float, verdict: Severity, **more: Any) -> None:
    one = numbers[name]
    half = 0.0 if one.value is None or one.high is None else one.high - one.value
    update = {"value": value, "low": value - half, "high": value + half, "verdict": verdict, **more}
    numbers[name] = one.model_copy(update=update)


def nothing_to_gain(found: dict[str, Measurement]) -> None:
    change(found, "plain", CEILING + 0.003, "pass")
    change(found, "weights", CEILING + 0.004, "pass")


def blobs(found: dict[str, Measurement]) -> None:
    change(found, "distance", 0.57, "fail")
    change(found, "precision", 0.0, "fail")
    change(found, "recall", 0.0, "fail")
    change(found, "yield", 0.1, "info")


def checkerboard(found: dict[str, Measurement]) -> None:
    change(found, "detail", 1.2, "fail")


def harmful(found: dict[str, Measurement]) -> None:
    change(found, "effect", -0.03, "fail")


def copies(found: dict[str, Measurement]) -> None:
    change(found, "copies", 0.12, "fail", low=0.09, high=0.15, alarm=True)


def collapse(found: dict[str, Measurement]) -> None:
    change(found, "duplicates", 0.6, "fail", low=0.5, high=0.7, alarm=True)
    change(found, "recall", 0.01, "fail")
    change(found, "distance", 0.2, "fail", low=0.19, high=0.21)


def undertrained(found: dict[str, Measurement]) -> None:
    change(found, "distance", 0.08, "fail")
    change(found, "effect", 0.0, "info")


def wrong_labels(found: dict[str, Measurement]) -> None:
    change(found, "labels", 0.52, "info")
    change(found, "adherence", 0.5, "pass")


def few_test_faces(found: dict[str, Measurement]) -> None:
    unsure = {**found["effect"].found, "smallest_visible_effect": 0.09}
    change(found, "effect", 0.01, "info", low=-0.05, high=0.07, found=unsure, n_real=200)


def helps(found: dict[str, Measurement]) -> None:
    change(found, "effect", 0.03, "pass")


def not_asked(found: dict[str, Measurement]) -> None:
    for name in ("effect", "plain", "weights"):
        del found[name]


def half_refused(found: dict[str, Measurement]) -> None:
    change(found, "yield", 0.3, "info")
    change(found, "yield_attribute", 0.35, "info")


def advice_on(plant: Plant | None = None) -> list[Advice]:
    found = healthy()
    if plant is not None:
        plant(found)
    own = [one for one in found.values() if one.evaluator == REBALANCING]
    measured = [one for one in found.values() if one.evaluator != REBALANCING]
    return advise(measured, decide(measured), COMMAND, longer="20m", suggestions=suggestions(own))


@pytest.mark.parametrize(
    ("plant", "first", "command", "evidence"),
    [
        (nothing_to_gain, "Keep training with “class weights”: there is nothing to gain", "", "downstream.effect"),
        (blobs, "Train the generator before its faces are used", "--budget 20m", "fidelity.kernel_distance"),
        (checkerboard, "Train longer: the faces have a pattern", "--budget 20m", "real_vs_fake.fine_detail"),
        (harmful, "Leave the synthetic faces out, and train with “class weights”", "", "downstream.effect"),
        (copies, "Do not publish these faces", "", "memorisation.copied_share"),
        (collapse, "Start the generator's training again with another seed", "--seed 4", "modes.duplicate_share"),
        (undertrained, "Train the generator longer", "--budget 20m", "fidelity.kernel_distance"),
        (wrong_labels, "Check the labels of Eyeglasses", "", "rebalance.label_accuracy"),
        (few_test_faces, "Collect about 3,900 more test faces", "", "downstream.effect"),
        (helps, "Add the synthetic faces as “synthetic” does", "", "downstream.effect"),
        (not_asked, "Ask whether the faces help", "", ""),
        (half_refused, "Train longer: most faces generated for Eyeglasses are refused", "--budget 20m", "yield"),
    ],
)
def test_a_planted_result_gets_the_right_first_advice(plant: Plant, first: str, command: str, evidence: str) -> None:
    advice = advice_on(plant)
    assert len(advice) <= MOST
    assert advice[0].title.startswith(first)
    assert command in advice[0].command
    assert bool(advice[0].command) is bool(command)
    assert evidence in " ".join(advice[0].evidence)
    assert advice[0].reason.endswith(".")


def test_where_all_is_well_there_is_nothing_to_advise() -> None:
    assert advice_on() == []


def test_an_untrained_generator_is_not_to_be_used() -> None:
    found = healthy()
    blobs(found)
    verdict = decide(list(found.values()))
    assert verdict.decision == "do not use"
    assert verdict.reason.startswith("The generator is not trained: ")


def test_copies_that_are_allowed_are_no_reason_to_refuse_faces() -> None:
    passed = {"attribute": 0.4, "copy": 0.0, "plausible": 0.9}
    assert main_reason(passed, copies_allowed=True) == "most often because they do not show what was requested (60%)"
    assert main_reason(passed, copies_allowed=False) == "most often because they are copies of training faces (100%)"


def test_another_generator_does_not_inherit_the_settings_of_this_one() -> None:
    found = healthy()
    blobs(found)
    numbers = list(found.values())
    command = f"{COMMAND} --set channels=32 --generator cgan --set latent=8"
    advice = advise(numbers, decide(numbers), command, longer="1h", suggestions=[without_training("parts", "parts")])
    assert "--budget 1h" in advice[0].command
    assert "needs no training" in advice[1].title
    assert advice[1].command == f"{COMMAND} --generator parts"


def test_what_is_not_trained_is_not_to_be_trained_longer() -> None:
    found = healthy()
    undertrained(found)
    numbers = list(found.values())
    assert "Train" in advise(numbers, decide(numbers), COMMAND)[0].title
    assert not any("rain" in one.title for one in advise(numbers, decide(numbers), COMMAND, trainable=False))


def test_the_same_command_is_given_once() -> None:
    def several(found: dict[str, Measurement]) -> None:
        undertrained(found)
        checkerboard(found)
        change(found, "recall", 0.02, "fail")

    commands = [one.command for one in advice_on(several)]
    assert commands[0]
    assert commands[1:] == [""] * (len(commands) - 1)


def test_without_a_command_line_there_are_no_commands() -> None:
    found = healthy()
    undertrained(found)
    (one,) = advise(list(found.values()), Verdict(decision="no evidence", reason="-"), longer="20m")
    assert one.command == ""


def test_severity_follows_the_size_of_the_shortfall_and_its_certainty() -> None:
    real = (0.8, 0.78, 0.82)

    def of(value: float, half: float = 0.001, useless: float = 0.0) -> Severity:
        return severity((value, value - half, value + half), real, useless)

    assert of(0.0) == "fail"
    assert of(0.8 * FAIL - 0.01) == "fail"
    assert of(0.8 * FAIL + 0.01) == "warn"
    assert of(0.8 * (1 - WARN)) == "pass"
    assert of(0.9) == "pass"
    assert of(0.1, half=0.8) == "pass", "it may be as good as real ones"
    assert severity((0.3, 0.29, 0.31), (0.0, 0.0, 0.01), 0.1) == "fail"
    assert severity((0.003, 0.0029, 0.0031), (0.0, 0.0, 0.001), 0.1) == "warn"
    assert severity((0.001, 0.0009, 0.0011), (0.0, 0.0, 0.0001), 0.1) == "pass"
    assert severity((float("nan"), 0, 1), real, 0.0) == "info"
