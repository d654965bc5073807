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
Augmentation = Literal["flip and crop", "RandAugment"]


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

    @property
    def uses_synthetic(self) -> bool:
        """Whether it is trained on synthetic faces."""
        return self.synthetic > 0


ALL = "synthetic"
"""The arm that is trained on the balanced data set as it is written."""

ARMS = (
    Arm("plain", "the real faces as they are"),
    Arm("class-weighted", "either class with the same weight in the loss", balance="loss"),
    Arm("oversampled", "the rarer class repeated until there are as many of it", balance="draws"),
    Arm("group-balanced", "each class in each group shown alike often", balance="groups"),
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


def matched_control(name: str) -> str | None:
    """The arm that trains alike, with repeated real faces in place of synthetic ones; None where there is none."""
    control = name.replace(ALL, "duplicates")
    return control if control != name and any(arm.name == control for arm in ARMS) else None
