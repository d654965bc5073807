"""Methods that get most out of real faces alone where classes are rare or a group lacks one: linear heads on features.

Each gives heads of several strengths of regularisation, of which the learner takes the best on valid. Synthetic faces
are worth their trouble only where they do better than all of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize, special

from augface.arrays import Floats32, Floats64, Integers
from augface.downstream.linear import fit_logistic, fit_path

FEW = 8
"""Faces of a class that a group needs to show that class."""
ROUNDS = 12
STEP = 0.5
"""How fast the groups' weights follow their losses in `worst_groups_first`."""
SUBSETS = 10
NEIGHBOURS = 5
PAIRS_SHARE = 0.3
"""Of the weight, for synthetic faces in `pairs`."""
SYNTHETIC = -1
"""The group of synthetic faces."""
AGAIN = (5.0, 20.0)
"""How often a face counts that was got wrong at first."""
SELECTIVE_MIXING = 2.0
"""Both parameters of the beta distribution of a blend's first share in `selective_mixup`, as its authors have them."""
RARER = 3.0
"""How many times rarer a class must be for `rebalanced_mixup` to give a blend its label alone."""


@dataclass(frozen=True)
class Problem:
    """Real faces to learn one attribute from.

    Attributes:
        inputs: float32 (N, D), the last column constant.
        labels: (N,) 1 where present, -1 where absent, 0 where unknown.
        groups: (N,) the group of each face.
        strengths: of regularisation.
        random: of all draws.
    """

    inputs: Floats32
    labels: Floats32
    groups: Integers
    strengths: Sequence[float]
    random: np.random.Generator

    @property
    def known(self) -> Floats64:
        """(N,) 1 where the label is known, else 0: the weights of plain training."""
        known: Floats64 = (self.labels != 0).astype(np.float64)
        return known

    @property
    def targets(self) -> Floats32:
        """(N,) from 0 to 1."""
        targets: Floats32 = ((self.labels + 1) / 2).astype(np.float32)
        return targets

    def cells(self) -> Iterator[tuple[int, dict[int, Integers]]]:
        """Each group, with the rows of its faces with and without the attribute."""
        for group in np.unique(self.groups[self.groups != SYNTHETIC]):
            inside = self.groups == group
            yield int(group), {value: np.flatnonzero(inside & (self.labels == value)) for value in (1, -1)}

    def complete(self) -> list[dict[int, Integers]]:
        """The rows of both classes in each group that shows both; of all faces where no group does."""
        found = [cells for _, cells in self.cells() if min(map(len, cells.values())) >= FEW]
        return found or [{value: np.flatnonzero(self.labels == value) for value in (1, -1)}]

    def heads(self, weights: Floats64) -> list[Floats32]:
        """Logistic regression with these weights of the faces, at each strength."""
        return fit_path(self.inputs, self.targets, weights, self.strengths)


def complete_groups(problem: Problem) -> list[Floats32]:
    """Learn from the groups that show both classes: in the others the attribute and the group cannot be told apart."""
    weights = np.zeros(len(problem.labels))
    for cells in problem.complete():
        weights[np.concatenate(list(cells.values()))] = 1
    return problem.heads(weights)


def balanced_groups(problem: Problem) -> list[Floats32]:
    """The same, each class in each of these groups with the same weight (Idrissi et al. 2022)."""
    weights = np.zeros(len(problem.labels))
    for cells in problem.complete():
        for rows in cells.values():
            weights[rows] = 1 / max(len(rows), 1)
    return problem.heads(weights)


def balanced_subsets(problem: Problem) -> list[Floats32]:
    """The mean head over subsets with as many faces of each class in each group (Idrissi et al. 2022; in deep feature
    reweighting, Kirichenko et al. 2023, such heads are averaged)."""
    cells = [rows for both in problem.complete() for rows in both.values()]
    fewest = min(len(rows) for rows in cells)
    sums = [np.zeros(problem.inputs.shape[1], np.float32) for _ in problem.strengths]
    for _ in range(SUBSETS):
        weights = np.zeros(len(problem.labels))
        for rows in cells:
            weights[problem.random.choice(rows, fewest, replace=False)] = 1
        for total, head in zip(sums, problem.heads(weights), strict=True):
            total += head / SUBSETS
    return sums


def logit_adjustment(problem: Problem) -> list[Floats32]:
    """Add the log-odds of the class within its group while training, so that the head need not learn them (Menon et al.
    2021)."""
    offset = np.zeros(len(problem.labels), np.float32)
    for group, cells in problem.cells():
        offset[problem.groups == group] = np.log((len(cells[1]) + 1) / (len(cells[-1]) + 1))
    return [
        fit_logistic(problem.inputs, problem.targets, problem.known, strength, offset=offset)
        for strength in problem.strengths
    ]


def additive_energies(problem: Problem) -> list[Floats32]:
    """Learn to tell the combinations that there are of class and group, with an energy of each that is a sum of the
    class's and the group's; the class's alone ranks faces of all combinations, seen or not (compositional risk
    minimisation, Mahajan et al. 2025)."""
    groups = np.unique(problem.groups)
    rows = np.flatnonzero(problem.labels)
    pairs = np.stack([problem.labels[rows] > 0, np.searchsorted(groups, problem.groups[rows])], axis=1)
    seen, place = np.unique(pairs, axis=0, return_inverse=True)
    place, inputs = place.ravel(), problem.inputs[rows].astype(np.float64)
    design = np.append(seen[:, :1], np.eye(len(groups))[seen[:, 1]], axis=1)  # the energies that each is the sum of
    counts = np.bincount(place, minlength=len(seen))
    prior = np.log(counts / counts.sum())
    wanted = np.eye(len(seen))[place]
    heads = []
    start = np.zeros((design.shape[1], inputs.shape[1]))
    for strength in problem.strengths:

        def loss(flat: Floats64, strength: float = strength) -> tuple[float, Floats64]:
            energies = flat.reshape(len(design[0]), -1)
            logits = inputs @ energies.T @ design.T + prior
            normaliser = special.logsumexp(logits, axis=1)
            penalised = energies.copy()
            penalised[:, -1] *= 1e-3
            value = (normaliser - logits[np.arange(len(place)), place]).mean() + strength / 2 * (penalised**2).sum()
            error = (np.exp(logits - normaliser[:, None]) - wanted) @ design / len(place)
            penalised[:, -1] *= 1e-3
            return float(value), (error.T @ inputs + strength * penalised).ravel()

        found = optimize.minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 100})
        start = found.x.reshape(start.shape)
        heads.append(start[0].astype(np.float32))
    return heads


def groups_erased(problem: Problem) -> list[Floats32]:
    """Erase what a linear head could tell the groups by, with the least change of the features (LEACE, Belrose et al.
    2023)."""
    features = problem.inputs[:, :-1].astype(np.float64)
    mean = features.mean(axis=0)
    centred = features - mean
    shown = (problem.groups[:, None] == np.unique(problem.groups)[1:]).astype(np.float64)
    values, vectors = linalg.eigh(centred.T @ centred / len(features))
    scale = np.sqrt(np.maximum(values, 1e-9))
    whiten, colour = (vectors / scale) @ vectors.T, (vectors * scale) @ vectors.T
    erase = np.eye(len(mean))
    if shown.size:
        basis = linalg.orth(whiten @ centred.T @ (shown - shown.mean(axis=0)) / len(features))
        erase -= colour @ basis @ basis.T @ whiten
    erased = np.append(centred @ erase.T + mean, problem.inputs[:, -1:], axis=1).astype(np.float32)
    heads = fit_path(erased, problem.targets, problem.known, problem.strengths)
    return [_before(head, erase, mean) for head in heads]


def _before(head: Floats32, erase: Floats64, mean: Floats64) -> Floats32:
    """The head on features as they were that does what this head does on erased ones."""
    direction = erase.T @ head[:-1]
    return np.append(direction, head[-1] + head[:-1] @ mean - direction @ mean).astype(np.float32)


def feature_arithmetic(problem: Problem) -> list[Floats32]:
    """Where a group lacks a class, shift the features of its other class by what the two differ in elsewhere (in
    feature space after DeVries and Taylor 2017)."""
    complete = problem.complete()
    difference = np.mean(
        [problem.inputs[cells[1]].mean(axis=0) - problem.inputs[cells[-1]].mean(axis=0) for cells in complete], axis=0
    )
    made, values = [], []
    for _, cells in problem.cells():
        for value in (1, -1):
            missing = len(cells[-value]) - len(cells[value])
            if missing > 0 and len(cells[value]) < FEW:
                rows = problem.random.choice(cells[-value], missing)
                made.append(problem.inputs[rows] + np.float32(value) * difference)
                values.append(np.full(missing, (value + 1) / 2))
    return _with_more(problem, made, values)


def smote(problem: Problem) -> list[Floats32]:
    """Add features on the lines between faces of the rarer class and their nearest neighbours of it (Chawla et al.
    2002)."""
    from sklearn.neighbors import NearestNeighbors

    kinds = {value: np.flatnonzero(problem.labels == value) for value in (1, -1)}
    rare = min(kinds, key=lambda value: len(kinds[value]))
    own = problem.inputs[kinds[rare]]
    missing = len(kinds[-rare]) - len(own)
    count = min(NEIGHBOURS, len(own) - 1)
    if missing <= 0 or count < 1:
        return problem.heads(problem.known)
    near = NearestNeighbors(n_neighbors=count + 1).fit(own).kneighbors(own, return_distance=False)[:, 1:]
    first = problem.random.integers(len(own), size=missing)
    second = near[first, problem.random.integers(count, size=missing)]
    share = problem.random.random((missing, 1), dtype=np.float32)
    made = own[first] + share * (own[second] - own[first])
    return _with_more(problem, [made], [np.full(missing, (rare + 1) / 2)])


def _with_more(problem: Problem, made: list[Floats32], values: list[Floats64]) -> list[Floats32]:
    inputs = np.concatenate([problem.inputs, *made], dtype=np.float32)
    targets = np.concatenate([problem.targets, *values])
    weights = np.concatenate([problem.known, *map(np.ones_like, values)])
    return fit_path(inputs, targets, weights, problem.strengths)


def selective_mixup(problem: Problem) -> list[Floats32]:
    """Blend each face with one of its class from another group or, as often, with one of the other class from its
    group, so that neither the group nor what goes with it tells the class (LISA, Yao et al. 2022)."""
    rows = np.flatnonzero(problem.labels)
    labels, groups = problem.labels[rows], problem.groups[rows]
    partner = np.arange(len(rows))
    within_class = problem.random.random(len(rows)) < 0.5
    for group in np.unique(groups):
        for value in (1, -1):
            inside = (groups == group) & (labels == value)
            elsewhere = np.flatnonzero((groups != group) & (labels == value))
            opposite = np.flatnonzero((groups == group) & (labels == -value))
            for chosen, others in ((within_class, elsewhere), (~within_class, opposite)):
                blended = np.flatnonzero(inside & chosen)
                if len(others):  # else they stay as they are
                    partner[blended] = problem.random.choice(others, len(blended))
    share = problem.random.beta(SELECTIVE_MIXING, SELECTIVE_MIXING, len(rows))
    return _blended(problem, rows, rows[partner], share, share)


def rebalanced_mixup(problem: Problem) -> list[Floats32]:
    """Blend pairs of faces; a blend that shows at least half of the rarer class has its label alone (Remix, Chou et al.
    2020)."""
    rows = np.flatnonzero(problem.labels)
    partner = problem.random.permutation(rows)
    share = problem.random.random(len(rows))
    counts = {value: int((problem.labels[rows] == value).sum()) for value in (1, -1)}
    rare = min(counts, key=lambda value: counts[value])
    counted = share.copy()
    if counts[-rare] >= RARER * counts[rare]:
        first, second = (problem.labels[some] == rare for some in (rows, partner))
        counted[first & ~second & (share > 0.5)] = 1
        counted[second & ~first & (share < 0.5)] = 0
    return _blended(problem, rows, partner, share, counted)


def _blended(problem: Problem, first: Integers, second: Integers, share: Floats64, counted: Floats64) -> list[Floats32]:
    """Heads on blends of faces, `share` of the first, whose label counts `counted`."""
    inputs = share[:, None] * problem.inputs[first] + (1 - share[:, None]) * problem.inputs[second]
    targets = counted * problem.targets[first] + (1 - counted) * problem.targets[second]
    return fit_path(inputs.astype(np.float32), targets, np.ones(len(first)), problem.strengths)


def worst_groups_first(problem: Problem) -> list[Floats32]:
    """Weight the classes in the groups by how badly they are learnt, over several rounds (group distributionally robust
    optimisation, Sagawa et al. 2020)."""
    cells = [rows for _, both in problem.cells() for rows in both.values() if len(rows)]
    heads = []
    for strength in problem.strengths[::2]:
        shares, head = np.full(len(cells), 1 / len(cells)), problem.inputs[0] * 0
        for _ in range(ROUNDS):
            weights = np.zeros(len(problem.labels))
            for rows, share in zip(cells, shares, strict=True):
                weights[rows] = share / len(rows)
            head = fit_logistic(problem.inputs, problem.targets, weights, strength)
            logits = (problem.inputs @ head) * problem.labels
            losses = np.array([np.logaddexp(0, -logits[rows]).mean() for rows in cells])
            shares = shares * np.exp(STEP * losses / max(losses.max(), 1e-9))
            shares /= shares.sum()
        heads.append(head)
    return heads


def mistakes_again(problem: Problem) -> list[Floats32]:
    """Train once, then again with more weight on the faces that were got wrong (just train twice, Liu et al. 2021)."""
    heads = []
    for strength in problem.strengths[::2]:
        first = fit_logistic(problem.inputs, problem.targets, problem.known, strength)
        wrong = (problem.inputs @ first) * problem.labels < 0
        weights = [problem.known * np.where(wrong, times, 1.0) for times in AGAIN]
        heads += [fit_logistic(problem.inputs, problem.targets, again, strength) for again in weights]
    return heads


def self_training(problem: Problem) -> list[Floats32]:
    """Learn from faces without a label, too, by the probabilities that a first classifier gives them (Lee 2013)."""
    heads = problem.heads(problem.known)
    unlabelled = problem.labels == 0
    if not unlabelled.any():
        return heads
    again = []
    for first, strength in zip(heads, problem.strengths, strict=True):
        targets = np.where(unlabelled, special.expit(problem.inputs @ first), problem.targets)
        again.append(fit_logistic(problem.inputs, targets, np.ones(len(targets)), strength))
    return [*heads, *again]


def pairs(problem: Problem) -> list[Floats32]:
    """Groups that show both classes, balanced, and synthetic faces of both classes with `PAIRS_SHARE` of the weight."""
    weights = np.zeros(len(problem.labels))
    sides = [(rows, 1 - PAIRS_SHARE) for cells in problem.complete() for rows in cells.values()]
    made = [np.flatnonzero((problem.groups == SYNTHETIC) & (problem.labels == value)) for value in (1, -1)]
    real, synthetic = len(sides), sum(len(rows) > 0 for rows in made)
    for rows, share in sides:
        weights[rows] = share / real / max(len(rows), 1)
    for rows in made:
        weights[rows] = PAIRS_SHARE / max(synthetic, 1) / max(len(rows), 1)
    return problem.heads(weights)


METHODS: Mapping[str, Callable[[Problem], list[Floats32]]] = {
    "complete groups": complete_groups,
    "balanced groups": balanced_groups,
    "subsets": balanced_subsets,
    "logit adjustment": logit_adjustment,
    "energies": additive_energies,
    "erased": groups_erased,
    "arithmetic": feature_arithmetic,
    "SMOTE": smote,
    "LISA": selective_mixup,
    "Remix": rebalanced_mixup,
    "GroupDRO": worst_groups_first,
    "JTT": mistakes_again,
    "self-training": self_training,
    "pairs": pairs,
}
"""The methods by the name that an arm has for them."""
