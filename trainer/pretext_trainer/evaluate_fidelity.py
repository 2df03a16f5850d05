# How near one set of embeddings is to another: Frechet distance (Heusel et al. 2017, on the embeddings of the run and not
# on Inception), k-NN precision and recall (Kynkaanniemi et al. 2019), MAUVE (Pillutla et al. 2021) on the same embeddings.
import numpy as np
from sklearn.metrics import pairwise_distances


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance with ddof = 1, as the usual FID implementations take them."""
    features = features.astype(np.float64)
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False, ddof=1))


def root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root; rounding below zero is cut off."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def frechet(
    first: tuple[np.ndarray, np.ndarray], first_root: np.ndarray, second: tuple[np.ndarray, np.ndarray]
) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)); the trace of the root by symmetric eigenvalues, which stay real where
    there are fewer texts than dimensions."""
    inner = first_root @ second[1] @ first_root
    trace = np.sqrt(np.clip(np.linalg.eigvalsh((inner + inner.T) / 2), 0, None)).sum()
    distance = ((first[0] - second[0]) ** 2).sum() + np.trace(first[1]) + np.trace(second[1]) - 2 * trace
    return float(max(distance, 0.0))


class Manifolds:
    """Distances of a reference and a set, kept so that halves of the reference cost no new distances."""

    def __init__(self, reference: np.ndarray, synthetic: np.ndarray, neighbours: int):
        self._k = neighbours
        self._own = pairwise_distances(reference)
        self._across = pairwise_distances(reference, synthetic)
        self._radii = _radii(pairwise_distances(synthetic), neighbours)

    def precision(self, rows: np.ndarray) -> float:
        """Share of synthetic texts nearer to some reference text than that one's k-th neighbour."""
        radii = _radii(self._own[np.ix_(rows, rows)], self._k)
        return float((self._across[rows] < radii[:, None]).any(axis=0).mean())

    def recall(self, rows: np.ndarray) -> float:
        """Share of reference texts nearer to some synthetic text than that one's k-th neighbour."""
        return float((self._across[rows] < self._radii[None, :]).any(axis=1).mean())


def _radii(distances: np.ndarray, neighbours: int) -> np.ndarray:
    # The nearest of all is the text itself.
    k = min(neighbours, len(distances) - 1)
    return np.partition(distances, k, axis=1)[:, k]


def mauve(reference: np.ndarray, synthetic: np.ndarray, buckets: int, seed: int) -> float:
    """By the package mauve-text, on these features."""
    from mauve.compute_mauve import compute_mauve

    result = compute_mauve(
        p_features=reference.astype(np.float32),
        q_features=synthetic.astype(np.float32),
        num_buckets=buckets,
        seed=seed,
        verbose=False,
    )
    return float(result.mauve)


def mauve_buckets(reference: int, synthetic: int) -> int:
    """A tenth of the smaller side, as mauve-text chooses; halves of the reference keep the number of the whole."""
    return max(2, round(min(reference, synthetic) / 10))
