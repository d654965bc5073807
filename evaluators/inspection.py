"""What the generator's networks know: units, layers and directions, folded into the report of an evaluation."""

from __future__ import annotations

from typing import ClassVar

from augface.errors import require
from augface.evaluators.base import Context, Evaluator, Findings
from augface.inspection.inspect import look_inside
from augface.results import Section


class Inspection(Evaluator):
    """All parts of `augface inspect`. It takes a minute, so it runs where it is named."""

    section: ClassVar[Section] = Section(
        key="inspection",
        title="Inside the generator",
        meaning="Which units, layers and directions of the generator are for which attribute, and where classifiers "
        "look. It says how the generator works, not whether to use its faces.",
        key_measures=("units_effect", "deciding_layer"),
        one_each=True,
    )
    needs: ClassVar[frozenset[str]] = frozenset({"train", "networks"})

    def evaluate(self, context: Context) -> Findings:
        """Look into the generator, with the attributes that were requested."""
        parts = look_inside(
            require(context.generator), require(context.train), list(context.targets), seed=context.seed
        )
        own = {"evaluator": self.name, "section": ""}
        return Findings(
            [one.model_copy(update=own) for part in parts for one in part.measurements],
            [one.model_copy(update={"section": self.name}) for part in parts for one in part.artifacts],
            [self.skip(one.reason) for part in parts for one in part.skipped],
        )
