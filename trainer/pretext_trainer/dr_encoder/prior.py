# Stage 1: the Gaussian prior of updates, a mean and a standard deviation for each LoRA tensor and local epoch. Fitted either
# to updates on public texts (free), or to clients' statistics under DP: each client's whole vector of statistics is clipped
# and the sum noised, ONE Gaussian release that the same accountant charges as the rounds that follow. The paper releases the
# statistics as they are, which breaks its end-to-end claim.
from dataclasses import dataclass

import torch

from .layout import Layout
from .message import Clip, Noise

# A released standard deviation is a noised number: it may come out negative, and zero would divide.
FLOOR = 1e-8


@dataclass(frozen=True)
class Prior:
    """`means` and `stds` are epochs x tensors."""

    means: torch.Tensor
    stds: torch.Tensor

    def mean(self) -> torch.Tensor:
        return self.means.mean(0)

    def scale(self) -> torch.Tensor:
        """Standard deviation of a draw of a random epoch."""
        spread = self.stds.square().mean(0) + (self.means - self.mean()).square().mean(0)
        return spread.sqrt().clamp_min(FLOOR)

    def draw(self, layout: Layout, count: int, generator: torch.Generator) -> torch.Tensor:
        """Synthetic updates: count x numel, each of one random epoch."""
        epochs = torch.randint(0, len(self.means), (count,), generator=generator)
        entries = torch.randn(count, layout.numel, generator=generator)
        means = torch.stack([layout.spread(row) for row in self.means[epochs]])
        stds = torch.stack([layout.spread(row) for row in self.stds[epochs]])
        return means + stds * entries


def statistics_of(layout: Layout, increments: list[torch.Tensor]) -> torch.Tensor:
    """What a client tells of its local epochs: for each, the mean and the std of every tensor, in one vector."""
    told = []
    for flat in increments:
        parts = [flat[start:end] for _, start, end in layout.spans]
        told += [torch.stack([p.mean() for p in parts]), torch.stack([p.std(correction=0) for p in parts])]
    return torch.cat(told).cpu()


def prior_of(pooled: torch.Tensor, layout: Layout) -> Prior:
    """From pooled statistics, noised or not."""
    table = pooled.view(-1, 2, len(layout.spans))
    return Prior(table[:, 0].clone(), table[:, 1].clamp_min(FLOOR).clone())


def pooled(statistics: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(statistics).mean(0)


def released(statistics: list[torch.Tensor], clip: Clip, noise: Noise) -> torch.Tensor:
    """The noised mean over all clients, whose number is public."""
    total = torch.stack([clip(s) for s in statistics]).sum(0)
    return noise(total) / len(statistics)
