"""Which broken faces does the plausibility filter refuse, at 1 % of real ones?

    python experiments/filter_proofs.py /data/celeba-mini
    python experiments/filter_proofs.py toy --images 2000 10000

Real faces of the valid split, none of whose people the filter has seen, are damaged in each of the ways that it learnt
from; then it learns without a family of damage, and is tried on that. Generators that have hardly been trained are
tried too, on as many images as are asked for.
"""

from __future__ import annotations

import argparse

import numpy as np

import augface
from augface.arrays import Pixels
from augface.classifiers.plausibility import DAMAGES, PlausibilityClassifier, damaged
from augface.data.splits import inner_fold
from augface.errors import require
from augface.generators import create_generator
from augface.metrics import proportion_interval
from augface.rebalancing.filters import INNER_SHARE, NON_MATES_REFUSED

FAMILIES = (
    ("blur", "partial blur", "coarse pixels"),
    ("noise", "blotches"),
    ("checkerboard",),
    ("mixed halves", "swapped parts"),
    ("overlaid faces",),
    ("warping",),
)


def main() -> None:
    """Print one table: what is refused, with its interval, and without the damage's family among what is learnt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--images", type=int, nargs="*", default=[2000, 10_000], help="that generators are trained on")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = augface.load_data(arguments.data)
    train, valid = require(data.train), np.asarray(require(data.valid).images)
    held_out = inner_fold(train, INNER_SHARE, arguments.seed)
    real, others = np.asarray(train.images)[~held_out], np.asarray(train.images)[held_out]

    def learnt_from(kinds: set[str]) -> PlausibilityClassifier:
        return PlausibilityClassifier.fit(
            real, others, refused=NON_MATES_REFUSED, seed=arguments.seed, kinds=sorted(kinds)
        )

    def refused(classifier: PlausibilityClassifier, faces: Pixels) -> str:
        found = int((classifier.scores(faces) > classifier.highest_score).sum())
        share = proportion_interval(found, len(faces))
        return f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"

    whole = learnt_from(set(DAMAGES))
    print(
        f"{arguments.data}: {len(real):,} faces learnt from, {len(others):,} for the threshold, {len(valid):,} tried\n"
    )
    print("| faces | refused | learnt without this kind |")
    print("|---|---|---|")
    print(f"| real, of other people | {refused(whole, valid)} | |")
    for family in FAMILIES:
        without = learnt_from(set(DAMAGES) - set(family))
        for kind in family:
            broken = damaged(valid, np.random.default_rng(arguments.seed + 1), (kind,))
            print(f"| {kind} | {refused(whole, broken)} | {refused(without, broken)} |", flush=True)
    for images in arguments.images:
        generator = create_generator("cgan")
        generator.fit(train, budget=str(images), seed=arguments.seed)
        faces = np.asarray(generator.sample(len(valid), seed=arguments.seed).images)
        print(f"| cgan after {images:,} images | {refused(whole, faces)} | |", flush=True)


if __name__ == "__main__":
    main()
