# Why plain LoRA has no epsilon, shown in one step. If a direction n lies in the left null space of the gradient of the
# texts D, then n^T G = 0, and LoRA's noise, being G times something, is zero there too. A step on D and one text more is
# told apart by |n^T dW| alone, without knowing A, however small the rank. Noise that is added to the sum hides it.
import math

import numpy as np
import torch
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from .noise import sketched
from .sketch import draw_a


def blind_direction(without: torch.Tensor, extra: torch.Tensor) -> torch.Tensor | None:
    """The unit vector n with n^T without = 0 and the largest n^T extra; None where the gradient leaves no direction."""
    u, s, _ = torch.linalg.svd(without.double(), full_matrices=True)
    rank = int((s > s[0] * 1e-6).sum()) if len(s) and s[0] > 0 else 0
    free = u[:, rank:]
    if free.shape[1] == 0:
        return None
    seen = free.T @ extra.double()
    left = torch.linalg.svd(seen, full_matrices=False)[0][:, 0]
    return (free @ left).float()


def distinguish(without: torch.Tensor, extra: torch.Tensor, rank: int, draws: int, seed: int) -> float | None:
    """AUC of |n^T dW| over plain steps with and without one text's gradient `extra`, a new A for each."""
    n = blind_direction(without, extra)
    if n is None:
        return None
    scores: dict[bool, list[float]] = {False: [], True: []}
    for i in range(draws):
        for there in (False, True):
            a = draw_a("gaussian", rank, without.shape[1], [seed, 31, 2 * i + there])
            scores[there].append(float((n @ sketched(without + extra if there else without, a)).norm()))
    return _auc(scores)


def distinguish_noised(
    without: torch.Tensor, extra: torch.Tensor, rank: int, draws: int, seed: int, clip: float, noise_multiplier: float
) -> float:
    """AUC of the best test there is, by somebody who knows A and everything but the extra text, where each contribution to
    dL/dB = G A^T is held to `clip` and Gaussian noise is added to their sum."""
    generator = torch.Generator().manual_seed(seed)
    scores: dict[bool, list[float]] = {False: [], True: []}
    for i in range(draws):
        a = draw_a("gaussian", rank, without.shape[1], [seed, 32, i])
        rest, own = held(without @ a.T, clip), held(extra @ a.T, clip)
        for there in (False, True):
            noise = torch.randn(rest.shape, generator=generator) * noise_multiplier * clip
            released = rest + (own if there else 0) + noise
            scores[there].append(float(((released - rest) * own).sum() / own.norm()))
    return _auc(scores)


def _auc(scores: dict[bool, list[float]]) -> float:
    labels = [0] * len(scores[False]) + [1] * len(scores[True])
    return float(roc_auc_score(labels, np.array(scores[False] + scores[True])))


def held(b: torch.Tensor, clip: float) -> torch.Tensor:
    return b * min(1.0, clip / max(float(b.norm()), 1e-30))


def auc_bound(noise_multiplier: float) -> float:
    """No test on one Gaussian release can do better: the area under the trade-off curve of mu = 1 / noiseMultiplier."""
    return float(norm.cdf(1 / noise_multiplier / math.sqrt(2)))
