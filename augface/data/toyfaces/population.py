"""ToyFaces: drawn portraits of people who do not exist, with the truth about each of them.

A population as CelebA has it: the same names of attributes, as frequent as there and tied to sex and age as there
(Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015), several pictures a person, and every number that
a picture is drawn from. This module says who exists; `renderer` says how they look.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from augface.arrays import Booleans, Floats, Integers, Strings
from augface.data.dataset import SPLITS, FaceDataset, Source
from augface.data.pixels import ImageRows, blank_images
from augface.data.toyfaces.portrait import CLOTHES, GLASSES, HATS
from augface.data.toyfaces.renderer import render
from augface.errors import UsageError
from augface.seeds import derive_seed, random_generator

VERSION = 2
"""Goes up whenever any picture or label of the same seed changes."""
TERMS = "The faces called real here are ToyFaces: drawn by a program, of people who do not exist. Use them freely."

DEFAULT_COUNT = 10_000
SHARES = {"train": 0.5, "valid": 0.26, "test": 0.24}

MALE = 0.4168
YOUNG = (0.873, 0.635)  # of women, of men
RATES: dict[str, tuple[float, float, float, float]] = {
    # How frequent an attribute is among older women, young women, older men and young men.
    "Bald": (0.0, 0.0, 0.112, 0.0205),
    "Bangs": (0.345, 0.185, 0.028, 0.107),
    "Bushy_Eyebrows": (0.02, 0.078, 0.115, 0.313),
    "Chubby": (0.037, 0.007, 0.25, 0.05),
    "Eyeglasses": (0.05, 0.0195, 0.212, 0.0725),
    "Heavy_Makeup": (0.525, 0.682, 0.0, 0.001),
    "Narrow_Eyes": (0.132, 0.107, 0.132, 0.117),
    "Pale_Skin": (0.049, 0.056, 0.023, 0.028),
    "Rosy_Cheeks": (0.121, 0.109, 0.007, 0.002),
    "Smiling": (0.682, 0.534, 0.434, 0.367),
    "Wavy_Hair": (0.528, 0.442, 0.126, 0.15),
    "Wearing_Earrings": (0.52, 0.289, 0.008, 0.02),
    "Wearing_Hat": (0.016, 0.027, 0.089, 0.074),
    "Wearing_Lipstick": (0.765, 0.813, 0.0, 0.006),
}
SUNGLASSES, TINTED, RIMLESS = 0.02, 0.05, 0.85
"""How many glasses are dark, slightly tinted, and with a fine edge in place of a rim: hard to see, so that a classifier
has something to gain from more of them (`experiments/toy_headroom.py`)."""
FRAMES = {"whole": 0.6, "upper": 0.25, "lower": 0.15}
"""Which part of the lenses the rim holds."""
HAIR_COLOURS: dict[str, tuple[float, float, float, float]] = {
    # Of all, the bald included; `sandy` and `red` are what CelebA has no name for.
    "black": (0.115, 0.212, 0.15, 0.376),
    "brown": (0.22, 0.25, 0.082, 0.185),
    "blond": (0.308, 0.234, 0.019, 0.0185),
    "gray": (0.082, 0.001, 0.233, 0.003),
    "red": (0.11, 0.1, 0.05, 0.06),
    "sandy": (0.165, 0.203, 0.354, 0.337),
}
FACIAL_HAIR: dict[str, tuple[float, float, float, float]] = {
    "none": (1.0, 1.0, 0.6425, 0.58),
    "short": (0.0, 0.0, 0.155, 0.25),
    "full": (0.0, 0.0, 0.03, 0.03),
    "goatee": (0.0, 0.0, 0.0775, 0.087),
    "circle": (0.0, 0.0, 0.045, 0.035),
    "mustache": (0.0, 0.0, 0.05, 0.018),
}
ATTRIBUTES = tuple(
    sorted(
        {*RATES, "Male", "Young", "Mouth_Slightly_Open", "Mustache", "Goatee", "No_Beard"}
        | {"Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"}
    )
)


def label(factors: pd.DataFrame) -> pd.DataFrame:
    """The attributes that faces of these factors show: one boolean column for each of `ATTRIBUTES`."""
    haired = ~factors["bald"]
    facial_hair = factors["facial_hair"]
    shown = {
        "Bald": factors["bald"] & ~factors["hat"],
        "Bangs": factors["bangs"] & haired & ~factors["hat"],
        **{f"{name.title()}_Hair": (factors["hair_colour"] == name) & haired for name in HAIR_COLOURS},
        "Bushy_Eyebrows": factors["brow_thickness"] > 0.6,
        "Chubby": factors["chubbiness"] > 0.5,
        "Eyeglasses": factors["glasses"],
        "Goatee": facial_hair.isin(["goatee", "circle", "full"]),
        "Heavy_Makeup": factors["makeup"] > 0.5,
        "Male": factors["masculinity"] > 0.5,
        "Mouth_Slightly_Open": factors["mouth_open"] > 0.2,
        "Mustache": facial_hair.isin(["mustache", "circle", "full"]),
        "Narrow_Eyes": factors["eye_openness"] < 0.35,
        "No_Beard": facial_hair == "none",
        "Pale_Skin": factors["skin_tone"] < 0.05,
        "Rosy_Cheeks": factors["blush"] > 0.5,
        "Smiling": factors["smile"] > 0.3,
        "Wavy_Hair": (factors["hair_wave"] > 0.5) & haired,
        "Wearing_Earrings": factors["earrings"],
        "Wearing_Hat": factors["hat"],
        "Wearing_Lipstick": factors["lipstick"],
        "Young": factors["age"] < 0.5,
    }
    return pd.DataFrame({name: shown[name].astype(bool) for name in ATTRIBUTES})


def sample_population(count: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, Integers]:
    """People and their pictures.

    Frequencies are met by systematic sampling, within each sex and age, so they are closer to the wanted ones than
    those of independent draws.

    Args:
        count: how many pictures, 1 or more.
        seed: another seed, other people.

    Returns:
        `factors`, what `render` draws, `count` rows; `attributes`, `label(factors)`; `identity`, (count,) int64: the
        person of each picture, numbered from 0. A person has 1 to 12 pictures, 5 on average.

    Raises:
        UsageError: `count` is below 1.
    """
    if count < 1:
        raise UsageError(f"The number of toy faces must be 1 or more, not {count}.")
    random = random_generator(seed, "toyfaces", VERSION)
    pictures = _pictures_of_each(count, random)
    people = _people(pictures, random)
    identity = np.repeat(np.arange(len(pictures)), pictures)
    factors = pd.concat(
        [people.drop(columns="group").iloc[identity].reset_index(drop=True), _occasions(people, identity, random)],
        axis="columns",
    )
    order = random.permutation(count)
    factors = factors.iloc[order].reset_index(drop=True)
    return factors, label(factors), identity[order].astype(np.int64)


def load_toyfaces(count: int | None = None, size: int = 64, seed: int = 0, *, drawn: bool = True) -> FaceDataset:
    """The embedded data set: nothing to download, and every truth about it in `factors`.

    Train (50 %), valid (26 %) and test (24 %) hold different people of one population. The valid split of the default
    10,000 is large enough for a Fréchet distance of 1,280 features.

    Args:
        count: how many pictures; 10,000 where not given.
        size: their height and width in pixels, from 8 to 1,024; the same faces at every size.
        seed: another seed, other people.
        drawn: whether to draw the pictures; they are black else, and all that is known of them is the same.

    Raises:
        UsageError: fewer than 10 pictures, or a size out of range.
    """
    count = DEFAULT_COUNT if count is None else count
    if count < 10:
        raise UsageError(f"Toy faces come in sets of 10 or more, not {count}.")
    if not 8 <= size <= 1024:
        raise UsageError(f"Toy faces are drawn at sizes from 8 to 1024 pixels, not {size}.")
    counts = {split: round(share * count) for split, share in SHARES.items()}
    counts["train"] = count - counts["valid"] - counts["test"]
    factors, identities, people = [], [], 0
    for split in SPLITS:
        part, _, identity = sample_population(counts[split], derive_seed(seed, "split", split))
        factors.append(part)
        identities.append(identity + people)
        people += int(identity.max()) + 1
    table = pd.concat(factors, ignore_index=True)
    images = ImageRows(render(table, size), np.arange(count, dtype=np.int64)) if drawn else blank_images(count, size)
    return FaceDataset(
        images=images,
        attributes=label(table).astype("boolean"),
        identity=np.concatenate(identities),
        split=np.repeat(list(counts), list(counts.values())),
        source=Source(
            f"toy:{count}",
            hashlib.sha256(f"toyfaces {VERSION=} {count=} {size=} {seed=}".encode()).hexdigest(),
            shows_people=False,
            terms=TERMS,
        ),
        names=np.array([f"{number:06d}.png" for number in range(count)], dtype=np.str_),
        factors=table,
    )


def _pictures_of_each(count: int, random: np.random.Generator) -> Integers:
    """How many pictures each person has: from 1 to 12, few with many, `count` together."""
    pictures = 1 + random.binomial(11, random.beta(1.2, 2.1, size=count))
    people = int(np.searchsorted(np.cumsum(pictures), count)) + 1
    pictures = pictures[:people]
    pictures[-1] -= int(pictures.sum()) - count
    return pictures


class _Draw:
    """Random draws for rows that come in groups (sex and age) and have a weight (pictures of a person)."""

    def __init__(self, random: np.random.Generator, weight: npt.NDArray[Any]) -> None:
        self.random = random
        self.weight = weight

    def __len__(self) -> int:
        return len(self.weight)

    def between(self, low: float | Floats, high: float | Floats) -> Floats:
        return self.random.uniform(low, high, size=len(self))

    def around(self, middle: float | Floats, spread: float, low: float = 0.0, high: float = 1.0) -> Floats:
        return np.clip(self.random.normal(middle, spread, size=len(self)), low, high)

    def happens(self, probability: float | Floats) -> Booleans:
        """Systematic sampling: each row with its own probability, together and in every stretch of equal probability
        or equal weight as near to the expected number as whole numbers allow."""
        chance = np.broadcast_to(np.asarray(probability, dtype=np.float64), len(self))
        order = np.lexsort((self.random.random(len(self)), self.weight, chance))
        steps = np.floor(np.cumsum(chance[order]) + self.random.random())
        chosen = np.empty(len(self), dtype=np.bool_)
        chosen[order] = np.diff(steps, prepend=0.0) > 0
        return chosen

    def among(self, kinds: dict[str, Any]) -> Strings:
        """One of the kinds for each row, of their probabilities (numbers, or one for each row)."""
        table = np.stack([np.broadcast_to(np.asarray(share, dtype=np.float64), len(self)) for share in kinds.values()])
        left = table.sum(axis=0)
        chosen = np.full(len(self), list(kinds)[-1], dtype="U12")
        open_rows = np.ones(len(self), dtype=np.bool_)
        for name, share in zip(kinds, table, strict=True):
            chance = np.where(open_rows, np.divide(share, left, out=np.zeros_like(left), where=left > 1e-9), 0.0)
            taken = self.happens(np.clip(chance, 0.0, 1.0))
            chosen[taken] = name
            open_rows &= ~taken
            left = left - share
        return chosen


def _people(pictures: Integers, random: np.random.Generator) -> pd.DataFrame:
    """What stays the same in all pictures of a person, one row a person."""
    draw = _Draw(random, pictures)
    male = draw.happens(MALE)
    young = draw.happens(np.where(male, YOUNG[1], YOUNG[0]))
    group = 2 * male + young  # the order of the columns of RATES

    def rate(table: dict[str, tuple[float, float, float, float]], name: str) -> Floats:
        return np.take(table[name], group)

    bald = draw.happens(rate(RATES, "Bald"))
    hair_colour = draw.among({name: rate(HAIR_COLOURS, name) for name in HAIR_COLOURS})
    pale = draw.happens(rate(RATES, "Pale_Skin") * np.where(hair_colour == "black", 0.5, 1.19))
    dark_haired = np.isin(hair_colour, ["black", "gray"]) | ((hair_colour == "brown") & draw.happens(0.35))
    tone = np.where(dark_haired, draw.between(0.15, 1.0), 0.12 + 0.38 * random.beta(1.3, 2.0, size=len(draw)))
    skin_tone = np.where(pale, draw.between(0.0, 0.04), tone)
    light_eyes = (skin_tone < 0.45) & draw.happens(np.where(dark_haired, 0.25, 0.6))
    eye_colour = np.where(
        light_eyes,
        draw.among({"hazel": 0.25, "green": 0.25, "blue": 0.35, "gray": 0.15}),
        draw.among({"brown": 0.85, "hazel": 0.15}),
    )
    wavy = draw.happens(np.minimum(rate(RATES, "Wavy_Hair") / (1 - rate(RATES, "Bald")), 1.0))
    long_haired = draw.happens(np.where(male, 0.05 + 0.1 * wavy, np.where(young, 0.8, 0.55)))
    chubby = draw.happens(rate(RATES, "Chubby"))
    bushy = draw.happens(rate(RATES, "Bushy_Eyebrows"))
    return pd.DataFrame(
        {
            "group": group,
            "masculinity": np.where(male, draw.around(0.85, 0.1, 0.66, 1.0), draw.around(0.15, 0.1, 0.0, 0.34)),
            "age": np.where(young, draw.between(0.0, 0.4), draw.between(0.6, 1.0)),
            "skin_tone": skin_tone,
            "skin_warmth": draw.around(0.0, 0.4, -1.0, 1.0),
            "freckles": np.where((skin_tone < 0.4) & draw.happens(0.12), draw.between(0.5, 1.0), 0.0),
            "hair_colour": hair_colour,
            "hair_tint": draw.between(0.0, 1.0),
            "hair_length": np.where(
                long_haired,
                draw.between(0.6, 1.0),
                np.where(male, draw.between(0.0, 0.12), draw.between(0.28, 0.5)),
            ),
            "hair_volume": np.clip(draw.around(0.35, 0.2) + 0.25 * wavy, 0.0, 1.0),
            "hair_wave": np.where(wavy, draw.between(0.65, 1.0), draw.between(0.0, 0.3)),
            "hair_part": draw.between(-1.0, 1.0),
            "hairline": np.where(male, draw.between(0.1, 0.4) + 0.5 * (draw.between(0, 1) < 0.3) * ~young, 0.1),
            "bald": bald,
            "brow_thickness": np.where(bushy, draw.between(0.72, 1.0), draw.between(0.1, 0.5)),
            "brow_arch": draw.around(np.where(male, 0.25, 0.6), 0.18),
            "eye_colour": eye_colour,
            "eye_spacing": draw.between(0.0, 1.0),
            "eye_size": draw.around(np.where(male, 0.4, 0.6), 0.2),
            "eye_tilt": draw.around(0.0, 0.4, -1.0, 1.0),
            "nose_width": draw.around(0.4 + 0.2 * male, 0.2),
            "nose_length": draw.between(0.0, 1.0),
            "mouth_width": draw.between(0.0, 1.0),
            "lip_fullness": draw.around(np.where(male, 0.3, 0.6), 0.2),
            "face_width": draw.between(0.0, 1.0),
            "face_length": draw.between(0.0, 1.0),
            "jaw_width": draw.around(np.where(male, 0.7, 0.35), 0.2),
            "chubbiness": np.where(chubby, draw.between(0.7, 1.0), draw.between(0.0, 0.25)),
            "facial_hair": draw.among({name: rate(FACIAL_HAIR, name) for name in FACIAL_HAIR}),
            "glasses_shape": draw.among(dict.fromkeys(GLASSES, 1 / len(GLASSES))),
            "glasses_colour": draw.between(0.0, 1.0),
            "glasses_rim": np.where(draw.happens(RIMLESS), 0.0, draw.between(0.0, 1.0)),
            "glasses_frame": draw.among(FRAMES),
            "glasses_size": draw.around(1.0, 0.2, 0.6, 1.4),
            "glasses_tint": np.where(draw.happens(TINTED), draw.between(0.2, 1.0), 0.0),
        }
    )


def _occasions(people: pd.DataFrame, identity: Integers, random: np.random.Generator) -> pd.DataFrame:
    """What differs between the pictures of a person, one row a picture."""
    draw = _Draw(random, np.zeros(len(identity)))
    of_person = _Draw(random, np.bincount(identity))
    group = people["group"].to_numpy()
    bald = people["bald"].to_numpy()

    def often(probability: Floats, persistence: float) -> Booleans:
        """Done in a picture with the given probability for each person; two pictures of a person are correlated
        by the square of `persistence`: some people are inclined to it, the others are not."""
        inclined = of_person.happens(probability)
        return draw.happens((probability * (1 - persistence) + persistence * inclined)[identity])

    def rate(name: str) -> Floats:
        return np.take(RATES[name], group)

    smiling = often(rate("Smiling"), 0.5)
    mouth_open = draw.happens(np.where(smiling, 0.75, 0.232))
    lipstick = often(rate("Wearing_Lipstick"), 0.8)
    # Who is made up wears lipstick too, nearly always, as in CelebA.
    inclined = np.asarray(RATES["Heavy_Makeup"]) / np.maximum(RATES["Wearing_Lipstick"], 1e-9)
    makeup = lipstick & draw.happens(np.minimum(inclined[group][identity], 1.0) * lipstick)
    hat = often(np.where(bald, 0.0, rate("Wearing_Hat") / (1 - rate("Bald"))), 0.6)
    hat_rate = rate("Wearing_Hat")
    bangs = often(np.where(bald, 0.0, rate("Bangs") / (1 - rate("Bald")) / (1 - hat_rate)), 0.7) & ~hat
    narrow = often(rate("Narrow_Eyes"), 0.5)
    blush = often(rate("Rosy_Cheeks"), 0.5)
    return pd.DataFrame(
        {
            "smile": np.where(smiling, draw.between(0.5, 1.0), draw.between(-0.15, 0.14)),
            "mouth_open": np.where(mouth_open, draw.between(0.35, 1.0), 0.0),
            "eye_openness": np.where(narrow, draw.between(0.05, 0.2), draw.between(0.55, 1.0)),
            "gaze": draw.around(0.0, 0.35, -1.0, 1.0),
            "lipstick": lipstick,
            "lipstick_hue": draw.between(0.0, 1.0),
            "makeup": np.where(makeup, draw.between(0.7, 1.0), draw.between(0.0, 0.2)),
            "makeup_hue": draw.between(0.0, 1.0),
            "blush": np.where(blush, draw.between(0.75, 1.0), draw.between(0.0, 0.2)),
            "bangs": bangs,
            "glasses": often(rate("Eyeglasses"), 0.85),
            "glasses_dark": draw.happens(SUNGLASSES),
            "glasses_glint": draw.between(0.0, 1.0),
            "glasses_slid": np.where(draw.happens(0.4), draw.between(0.3, 1.0), 0.0),
            "earrings": often(rate("Wearing_Earrings"), 0.6),
            "hat": hat,
            "hat_shape": draw.among(dict.fromkeys(HATS, 1 / len(HATS))),
            "hat_hue": draw.between(0.0, 1.0),
            "yaw": draw.around(0.0, 0.17, -0.4, 0.4),
            "pitch": draw.around(0.0, 0.07, -0.16, 0.16),
            "roll": draw.around(0.0, 0.07, -0.2, 0.2),
            "zoom": draw.around(1.14, 0.05, 1.0, 1.28),
            "shift_x": draw.around(0.0, 0.03, -0.08, 0.08),
            "shift_y": draw.around(0.0, 0.03, -0.08, 0.08),
            "light_x": draw.around(0.0, 0.6, -1.0, 1.0),
            "light_y": draw.around(-0.5, 0.3, -1.0, 0.3),
            "light_warmth": draw.around(0.0, 0.45, -1.0, 1.0),
            "exposure": draw.around(1.0, 0.07, 0.82, 1.15),
            "background_hue": draw.between(0.0, 1.0),
            "background_saturation": 0.08 + 0.42 * random.beta(1.5, 2.2, size=len(draw)),
            "background_value": draw.between(0.3, 0.95),
            "background_seed": random.integers(0, 10_000, size=len(draw)),
            "clothes": draw.among(dict.fromkeys(CLOTHES, 1 / len(CLOTHES))),
            "clothes_hue": draw.between(0.0, 1.0),
            "clothes_value": draw.between(0.12, 0.92),
        }
    )
