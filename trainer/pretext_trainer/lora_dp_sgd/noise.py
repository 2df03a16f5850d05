# The noise N = G (A^T A - I) that a frozen random A puts into a gradient G, and how far it is from the Gaussian noise of
# DP-SGD. Exact for entries of A that are independent with variance 1/r:
#
#   E[N] = 0,  Var N_ij = (|g_i|^2 + (kappa - 2) g_ij^2) / r        g_i the i-th row of G, kappa the kurtosis of the entries
#   E|N|^2 = |G|^2 (m + 1) / r                                       Gaussian A
#
# Given the j-th column of A, N_ij is Gaussian: a mixture over V = |a_j|^2 ~ chi^2_r / r with mean g_ij (V - 1) and variance V
# (|g_i|^2 - g_ij^2) / r. So its distance to a Gaussian has a floor that the rank alone sets, whatever the width.
import numpy as np
import torch
from scipy.stats import chi2


def noise_variance(g: torch.Tensor, rank: int, kurtosis: float = 3.0) -> torch.Tensor:
    return (g.square().sum(dim=1, keepdim=True) + (kurtosis - 2) * g.square()) / rank


def noise_ratio(width: int, rank: int) -> float:
    """Norm of the noise over the norm of the gradient."""
    return ((width + 1) / rank) ** 0.5


def step_cosine(width: int, rank: int) -> float:
    """Cosine between G A^T A and G."""
    return (1 + (width + 1) / rank) ** -0.5


def sketched(g: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    return (g @ a.T) @ a


def gaussian_distance(rank: int, width: int | None = None) -> float:
    """Total variation between one entry of the noise and the Gaussian of its mean and variance, for a gradient whose rows
    are spread out evenly over `width` entries; None: infinitely wide."""
    # Quantiles of V: the mixture is a mean over them.
    weights = (np.arange(4000) + 0.5) / 4000
    v = chi2.ppf(weights, rank) / rank
    if width is None:
        means, variances, whole = np.zeros_like(v), v, 1.0
    else:
        # g_ij = 1, |g_i|^2 = width; everything times r.
        means, variances, whole = (v - 1) * rank**0.5, v * (width - 1), width + 1.0
    x = np.linspace(-12, 12, 4801) * whole**0.5
    density = np.zeros_like(x)
    for start in range(0, len(v), 500):
        m, s = means[start : start + 500, None], np.sqrt(variances[start : start + 500, None])
        density += (np.exp(-(((x - m) / s) ** 2) / 2) / s).sum(axis=0)
    density /= len(v) * (2 * np.pi) ** 0.5
    gaussian = np.exp(-(x**2) / (2 * whole)) / (2 * np.pi * whole) ** 0.5
    return float(np.abs(density - gaussian).sum() * (x[1] - x[0]) / 2)
