"""The ways of training that are compared. A new one is one line in `ARMS`, and a field of `Arm` where it needs one.

What is not synthetic is there to be beaten: a set of made faces is worth its trouble only where it does better than
what can be done with the real faces alone. Each recipe with made faces has a twin with repeated real ones, so that a
recipe is not taken for the faces: without these twins, faces that only repeated real ones "helped" in 8 of 40 cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Balance = Literal["loss", "draws", "groups"]
Augmentation = Literal["flip and crop", "RandAugment"]


@dataclass(frozen=True)
class Arm:
    """One way of training. All arms have the same network, number of steps, selection and seeds.

    Attributes:
        name: what it is called in results.
        meaning: what is done, in a few words for people.
        made: the share of the made faces that is added.
        real: whether the real faces are learnt from before a refit.
        balance: `loss` (either kind has the same weight in the loss), `draws` (the rarer kind is repeated until there
            are as many), `groups` (each kind in each group is shown alike often).
        copies: repeated real faces in place of made ones, as a share of them: the control of the same recipe.
        augmentation: of pixels, so not for frozen features.
        mixup: whether pairs of faces are blended, and their labels with them (Zhang et al. 2018).
        made_first: whether the made faces, or the copies, are shown in the first third of the training only.
        refit: whether the last layer is fitted anew on balanced real faces (deep feature reweighting, Kirichenko et
            al. 2023), staying near what was learnt before; how near is chosen on valid.
    """

    name: str
    meaning: str
    made: float = 0.0
    real: bool = True
    balance: Balance | None = None
    copies: float = 0.0
    augmentation: Augmentation | None = None
    mixup: bool = False
    made_first: bool = False
    refit: bool = False

    @property
    def synthetic(self) -> bool:
        """Whether it learns from made faces."""
        return self.made > 0


ALL = "synthetic"
"""The arm that learns from the balanced data set as it is written."""

ARMS = (
    Arm("plain", "the real faces as they are"),
    Arm("class-weighted", "either kind with the same weight in the loss", balance="loss"),
    Arm("oversampled", "the rarer kind repeated until there are as many of it", balance="draws"),
    Arm("group-balanced", "each kind in each group shown alike often", balance="groups"),
    Arm("flip and crop", "mirrored and shifted at random", augmentation="flip and crop"),
    Arm("RandAugment", "two random changes of colour or shape at a time", augmentation="RandAugment"),
    Arm("mixup", "pairs of faces blended, and their labels with them", mixup=True),
    Arm("refit", "the last layer fitted anew on balanced real faces", refit=True),
    Arm("duplicates 25%", "a quarter as many repeated real faces as there are made ones", copies=0.25),
    Arm("duplicates 50%", "half as many repeated real faces as there are made ones", copies=0.5),
    Arm("duplicates", "as many repeated real faces as there are made ones", copies=1.0),
    Arm(
        "duplicates, refit", "the same, then the last layer fitted anew on balanced real faces", copies=1.0, refit=True
    ),
    Arm(
        "duplicates first",
        "repeated faces at first, each real face as often as any other later",
        copies=1.0,
        made_first=True,
    ),
    Arm("synthetic 25%", "a quarter of the made faces added", made=0.25),
    Arm("synthetic 50%", "half of the made faces added", made=0.5),
    Arm(ALL, "all made faces added", made=1.0),
    Arm("synthetic, refit", "all made faces added, then the last layer fitted anew on real ones", made=1.0, refit=True),
    Arm("synthetic first", "all made faces added at first, and real ones alone later", made=1.0, made_first=True),
    Arm("synthetic only", "made faces and the real ones of kinds that were not made", made=1.0, real=False),
)


def twin_of(name: str) -> str | None:
    """The arm that has the same recipe with repeated real faces in place of made ones."""
    twin = name.replace(ALL, "duplicates")
    return twin if twin != name and any(arm.name == twin for arm in ARMS) else None
