# 95% intervals. Means over texts: the bootstrap over clients, because texts of one client resemble each other. Statistics
# that a doubled text would distort (covariances, neighbours, distinct words): half-samples without replacement, whose
# spread is that of the whole (the delete-half jackknife, Shao and Wu 1989), around the value of the whole. Where several sets
# of texts are one thing (corpora of several seeds), the value is their mean and the interval holds what they differ by as well.
from dataclasses import dataclass
from typing import Callable, Sequence

import numpy as np


@dataclass(frozen=True)
class Drawn:
    """A statistic of one set. `draws` of two sets with the same groups and seed are over the same clients, one by one."""

    value: float
    draws: np.ndarray
    # Of half-samples: what their standard deviation is multiplied by; none for a bootstrap, whose draws stand for themselves.
    scale: float | None = None


def interval(sets: Sequence[Drawn], seed: int) -> tuple[float, float, float]:
    """(value, low, high) of the mean over the sets."""
    values = np.asarray([one.value for one in sets])
    value, draws = float(values.mean()), np.stack([one.draws for one in sets])
    if draws.shape[1] < 2:
        return value, value, value
    if sets[0].scale is None:
        # A draw of clients with a draw of sets: both with repetition.
        chosen = np.random.default_rng([seed, 104]).integers(0, len(sets), draws.T.shape)
        low, high = np.percentile(np.take_along_axis(draws.T, chosen, axis=1).mean(axis=1), [2.5, 97.5])
        return value, float(low), float(high)
    variance = float(np.var(draws.mean(axis=0), ddof=1)) * sets[0].scale ** 2
    if len(sets) > 1:
        variance += float(np.var(values, ddof=1)) / len(sets)
    spread = 1.96 * float(np.sqrt(variance))
    return value, value - spread, value + spread


def members(groups: Sequence[int]) -> list[np.ndarray]:
    """Rows of each group, in the order of first appearance."""
    rows: dict[int, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    return [np.asarray(own) for own in rows.values()]


def bootstrap(
    groups: Sequence[int],
    statistic: Callable[[np.ndarray], float],
    resamples: int,
    seed: int,
) -> Drawn:
    """`statistic` takes the weight of each row: how often its group was drawn."""
    of = np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(of.max()) + 1
    random = np.random.default_rng([seed, 101])
    value = statistic(np.ones(len(of)))
    draws = [
        statistic(np.bincount(random.integers(0, count, count), minlength=count)[of].astype(float))
        for _ in range(resamples)
    ]
    return Drawn(value, np.asarray(draws))


def half_samples(
    groups: Sequence[int],
    statistic: Callable[[np.ndarray], float],
    resamples: int,
    seed: int,
) -> Drawn:
    """Over random halves of the groups; `statistic` takes rows."""
    rows = members(groups)
    random = np.random.default_rng([seed, 102])
    value = statistic(np.arange(len(groups)))
    half = len(rows) // 2
    if half == 0 or resamples < 2:
        return Drawn(value, np.empty(0), 1.0)
    # The scale of the delete-d jackknife: sqrt((n - d) / d), which is 1 for an even number of groups.
    scale = np.sqrt(half / (len(rows) - half))
    draws = [
        statistic(np.sort(np.concatenate([rows[i] for i in random.permutation(len(rows))[:half]])))
        for _ in range(resamples)
    ]
    return Drawn(value, np.asarray(draws), float(scale))
