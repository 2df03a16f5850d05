# Correlated noise as matrices (arXiv 2306.08153): clients' sums x_1..x_T are released as C x + z with independent noise z,
# and what the model needs of them follows from that by post-processing. Nothing else has to be known for privacy but the
# L2 sensitivity of C, which is computed here from the matrix that is really used and from the rounds that one client can
# really take part in.
import numpy as np
from pfl.internal.ops.selector import get_default_framework_module as get_ops
from pfl.privacy.ftrl_mechanism import FTRLMatrixFactorizer


def sensitivity(strategy: np.ndarray, patterns: list[list[int]]) -> float:
    """
    How far C x moves in L2 at most when one client with contributions of norm 1 is added or removed; a client takes part in
    the rounds of one of the patterns.

    A client's contributions v_i (i in its pattern) move C x by sum_i C_i v_i^T, whose squared norm is
    sum_ij (C^T C)_ij <v_i, v_j> <= sum_ij |(C^T C)_ij|. Equal v_i reach that where no entry is negative, so for such matrices
    it is exact; for others it is an upper bound. It holds for contributions that depend on earlier releases too, where C is
    lower triangular or made of nodes that are released when their last round is (arXiv 2202.08312, theorem 2.1).
    """
    gram = np.abs(strategy.T.astype(np.float64) @ strategy.astype(np.float64))
    return float(max(np.sqrt(gram[np.ix_(p, p)].sum()) for p in patterns))


def workload(rounds: int, momentum: float) -> np.ndarray:
    """What the noise should be small in: the model after each round, as the sum of all updates so far (each of which goes on
    by the server's momentum)."""
    age = np.arange(rounds)[:, None] - np.arange(rounds)[None, :]
    return np.where(age >= 0, (1 - momentum ** np.maximum(age + 1, 0)) / (1 - momentum), 0.0)


def banded(rounds: int, period: int, momentum: float) -> np.ndarray:
    """
    The lower triangular C with `period` bands and columns of norm 1 that has the least noise, by pfl's optimiser. Two rounds
    of one client are at least `period` apart, where columns share no row, so that k of them cost sqrt(k).
    """
    apart = np.abs(np.subtract.outer(np.arange(rounds), np.arange(rounds)))
    mask = (apart < period).astype(np.float64)
    gram = np.eye(rounds)
    if period > 1:
        gram = get_ops().to_numpy(FTRLMatrixFactorizer(workload(rounds, momentum), mask).optimize()).astype(np.float64)
    # C^T C is the gram matrix. Its Cholesky factor L has L L^T, which is another matrix with longer columns (pfl 0.6.0 takes
    # that one for C, and so reports too small an epsilon); turned round twice, it is C.
    strategy = np.linalg.cholesky(gram[::-1, ::-1])[::-1, ::-1].T
    # Exactly zero outside of the bands, where the solver leaves dust.
    return np.where((apart < period), strategy, 0.0)
