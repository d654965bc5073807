"""The training methods that are compared, called arms as in a trial. A new one is one line in `ARMS`, and a field of
`Arm` where it needs one.

Arms without synthetic faces are there to be beaten: synthetic faces are worth their trouble only where they do better
than what can be done with the real faces alone. Each arm with synthetic faces has a matched control with repeated real
faces in their place, so that a training method is not taken for the faces: without these controls, faces that only
repeated real ones "helped" in 8 of 40 cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Balance = Literal["loss", "draws", "groups"]
Augmentation = Literal["flip", "flip and crop", "RandAugment"]


@dataclass(frozen=True)
class Arm:
    """One training method. All arms have the same network, number of steps, selection and seeds.

    Attributes:
        name: what it is called in results.
        meaning: what is done, in a few words for people.
        synthetic: the share of the synthetic faces that is added.
        real: whether the real faces are trained on, apart from the last layer.
        balance: `loss` (either class has the same weight in the loss), `draws` (the rarer class is repeated until there
            are as many), `groups` (each class in each group is shown alike often).
        copies: repeated real faces in place of synthetic ones, as a share of them: the matched control.
        augmentation: of pixels, so not for frozen features.
        mixup: whether pairs of faces are blended, and their labels with them (Zhang et al. 2018).
        synthetic_first: whether the synthetic faces, or the copies, are shown in the first third of the training only.
        last_layer: whether the last layer is retrained on balanced real faces (deep feature reweighting, Kirichenko et
            al. 2023), staying near what was learnt before; how near is chosen on valid.
        method: a method of `augface.downstream.real_only`, for frozen features; empty for those described above.
        minority: the share of the real faces of the rarer class that is kept; other ones for each seed.
    """

    name: str
    meaning: str
    synthetic: float = 0.0
    real: bool = True
    balance: Balance | None = None
    copies: float = 0.0
    augmentation: Augmentation | None = None
    mixup: bool = False
    synthetic_first: bool = False
    last_layer: bool = False
    method: str = ""
    minority: float = 1.0

    @property
    def uses_synthetic(self) -> bool:
        """Whether it is trained on synthetic faces."""
        return self.synthetic > 0

    @property
    def draws(self) -> bool:
        """Whether each seed draws other faces, or blends them otherwise."""
        drawn = self.synthetic > 0 or self.copies > 0 or self.balance == "draws" or self.minority < 1
        return drawn or self.mixup or bool(self.method)


ALL = "synthetic"
"""The arm that is trained on the balanced data set as it is written."""

ARMS = (
    Arm("plain", "the real faces as they are"),
    Arm("class-weighted", "either class with the same weight in the loss", balance="loss"),
    Arm("oversampled", "the rarer class repeated until there are as many of it", balance="draws"),
    Arm("group-balanced", "each class in each group shown alike often", balance="groups"),
    Arm("flip", "mirrored at random", augmentation="flip"),
    Arm("flip and crop", "mirrored and shifted at random", augmentation="flip and crop"),
    Arm("RandAugment", "two random changes of colour or shape at a time", augmentation="RandAugment"),
    Arm("mixup", "pairs of faces blended, and their labels with them", mixup=True),
    Arm("last-layer retraining", "the last layer retrained on balanced real faces", last_layer=True),
    Arm("duplicates 25%", "a quarter as many repeated real faces as there are synthetic ones", copies=0.25),
    Arm("duplicates 50%", "half as many repeated real faces as there are synthetic ones", copies=0.5),
    Arm("duplicates", "as many repeated real faces as there are synthetic ones", copies=1.0),
    Arm(
        "duplicates, last-layer retraining",
        "the same, then the last layer retrained on balanced real faces",
        copies=1.0,
        last_layer=True,
    ),
    Arm(
        "duplicates first",
        "repeated faces at first, each real face as often as any other later",
        copies=1.0,
        synthetic_first=True,
    ),
    Arm("synthetic 25%", "a quarter of the synthetic faces added", synthetic=0.25),
    Arm("synthetic 50%", "half of the synthetic faces added", synthetic=0.5),
    Arm(ALL, "all synthetic faces added", synthetic=1.0),
    Arm(
        "synthetic, last-layer retraining",
        "all synthetic faces added, then the last layer retrained on real ones",
        synthetic=1.0,
        last_layer=True,
    ),
    Arm(
        "synthetic first",
        "all synthetic faces added at first, and real ones alone later",
        synthetic=1.0,
        synthetic_first=True,
    ),
    Arm(
        "synthetic only", "synthetic faces, and real ones of classes that were not generated", synthetic=1.0, real=False
    ),
)

REAL_ONLY = (
    Arm("complete groups", "faces of groups that show both classes alone", method="complete groups"),
    Arm("complete groups, balanced", "the same, each class in each group weighted alike", method="balanced groups"),
    Arm("balanced subsets", "the mean of ten fits on as many faces of each class in each group", method="subsets"),
    Arm("logit adjustment", "log-odds shifted by each group's shares while training", method="logit adjustment"),
    Arm("additive energies", "classes and groups learnt together, each with a part of its own", method="energies"),
    Arm("groups erased", "what tells the groups apart is erased from the features", method="erased"),
    Arm(
        "feature arithmetic", "missing classes of a group made by shifting the features of others", method="arithmetic"
    ),
    Arm("SMOTE", "features between neighbours of the rarer class", method="SMOTE"),
    Arm("selective mixup", "blends of a class across groups, or of both classes in a group", method="LISA"),
    Arm("rebalanced mixup", "blends that are labelled as the rarer class from half of it on", method="Remix"),
    Arm("worst groups first", "the class in a group with the largest loss weighted most", method="GroupDRO"),
    Arm("mistakes again", "faces that a first classifier gets wrong weighted more", method="JTT"),
    Arm(
        "self-training", "faces without a label learnt with those that a first classifier gives", method="self-training"
    ),
)
"""More arms without synthetic faces, for features alone: those of people who study shortcuts and missing groups."""

PAIRS = Arm(
    "pairs",
    "groups that show both classes, and synthetic faces with three tenths of the weight",
    synthetic=1.0,
    method="pairs",
)
"""For an absent combination: synthetic faces of both classes in its group, best made in pairs, in place of the real
ones of one class."""


def matched_control(name: str) -> str | None:
    """The arm that trains alike, with repeated real faces in place of synthetic ones; None where there is none."""
    control = name.replace(ALL, "duplicates")
    return control if control != name and any(arm.name == control for arm in ARMS) else None
