# DP-FTRL by trees that are restarted (arXiv 2103.00039): noise for running sums, from the nodes of a binary tree over the
# rounds of one cycle. A node is a noised sum over its rounds; what the model needs is a combination of nodes, so all it costs
# is how many nodes one round is in. Nodes and their children estimate the same sums, and are averaged by their variances
# (Honaker's bottom-up estimate: no more cost, less noise).
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

Vector = TypeVar("Vector")


@dataclass
class _Estimate(Generic[Vector]):
    level: int
    noise: Vector
    variance: float


class TreeNoise(Generic[Vector]):
    """The noise in the running sum after each round, as its increment. `draw(round, level)` is the independent noise of the
    node that is complete after that round and spans 2^level rounds."""

    def __init__(self, period: int, draw: Callable[[int, int], Vector]):
        self._period = period
        self._draw = draw
        self._round = 0
        self._whole: list[_Estimate] = []
        self._before: Vector | None = None

    def step(self) -> Vector:
        if self._round % self._period == 0:
            # A new tree. What the last one ended with stays in the model.
            self._whole, self._before = [], None
        made = _Estimate(0, self._draw(self._round, 0), 1.0)
        while self._whole and self._whole[-1].level == made.level:
            left = self._whole.pop()
            level, below = made.level + 1, left.variance + made.variance
            own = below / (below + 1)
            noise = own * self._draw(self._round, level) + (1 - own) * (left.noise + made.noise)
            made = _Estimate(level, noise, own)
        self._whole.append(made)
        now = self._whole[0].noise
        for estimate in self._whole[1:]:
            now = now + estimate.noise
        step = now if self._before is None else now - self._before
        self._before = now
        self._round += 1
        return step


def tree_matrices(rounds: int, period: int) -> tuple[np.ndarray, np.ndarray]:
    """
    (strategy, decoder): each node's rounds, and the increments in terms of the nodes' noise. decoder @ strategy is the
    identity, which is why the released updates x + decoder z are post-processing of strategy x + z.
    """
    nodes: list[tuple[int, int]] = []

    def draw(index: int, level: int) -> np.ndarray:
        nodes.append((index, level))
        row = np.zeros(2 * rounds)
        row[len(nodes) - 1] = 1
        return row

    tree = TreeNoise(period, draw)
    decoder = np.stack([tree.step() for _ in range(rounds)])[:, : len(nodes)]
    strategy = np.zeros((len(nodes), rounds))
    for row, (index, level) in enumerate(nodes):
        strategy[row, index + 1 - 2**level : index + 1] = 1
    return strategy, decoder
