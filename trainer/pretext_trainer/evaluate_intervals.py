# 95% intervals. Means over texts: the bootstrap over clients, because texts of one client resemble each other. Statistics
# that a doubled text would distort (covariances, neighbours, distinct words): half-samples without replacement, whose
# spread is that of the whole (the delete-half jackknife, Shao and Wu 1989), around the value of the whole.
from typing import Callable, Sequence

import numpy as np


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
) -> tuple[float, float, float]:
    """(value, low, high) by percentiles; `statistic` takes the weight of each row: how often its group was drawn."""
    of = np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(of.max()) + 1
    random = np.random.default_rng([seed, 101])
    value = statistic(np.ones(len(of)))
    draws = [
        statistic(np.bincount(random.integers(0, count, count), minlength=count)[of].astype(float))
        for _ in range(resamples)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    return value, float(low), float(high)


def half_samples(
    groups: Sequence[int],
    statistic: Callable[[np.ndarray], float],
    resamples: int,
    seed: int,
) -> tuple[float, float, float]:
    """(value, low, high): value +- 1.96 times the spread over random halves of the groups; `statistic` takes rows."""
    rows = members(groups)
    random = np.random.default_rng([seed, 102])
    value = statistic(np.arange(len(groups)))
    half = len(rows) // 2
    if half == 0 or resamples < 2:
        return value, value, value
    # The scale of the delete-d jackknife: sqrt((n - d) / d), which is 1 for an even number of groups.
    scale = np.sqrt(half / (len(rows) - half))
    draws = [
        statistic(np.sort(np.concatenate([rows[i] for i in random.permutation(len(rows))[:half]])))
        for _ in range(resamples)
    ]
    spread = 1.96 * float(np.std(draws, ddof=1)) * float(scale)
    return value, value - spread, value + spread
