# What DP-SGD by text proves for a client with k texts. Three figures, because they differ by much: for one text alone; for
# the group by the textbook lemma; and for the group by its own loss distribution, a mixture of Gaussians (arXiv 2401.10294,
# theorem 1: under Poisson sampling a group moves the sum by Binomial(k, q) bounds at most).
import math

from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from dp_accounting.privacy_accountant import NeighboringRelation
from scipy.stats import binom

INTERVAL = 1e-3


def _loss(mechanism: dict, group: int) -> PLDAccountant:
    """Of all releases, for adding or removing up to `group` texts at once."""
    noise, rate = mechanism["sigma"] / mechanism["clip"], mechanism["cohort"] / mechanism["clients"]
    if mechanism["sampling"] == "all":
        event = dp_event.GaussianDpEvent(noise / group)
    else:
        moves = [float(m) for m in range(group + 1)]
        event = dp_event.MixtureOfGaussiansDpEvent(noise, moves, [float(binom.pmf(m, group, rate)) for m in moves])
    accountant = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE, value_discretization_interval=INTERVAL)
    return accountant.compose(dp_event.SelfComposedDpEvent(event, mechanism["releases"]))


def _by_lemma(text: PLDAccountant, delta: float, group: int) -> float:
    """(e, d)-DP for one text is (k e, d (exp(k e) - 1) / (exp(e) - 1))-DP for k of them: k e at a d for which that is delta."""
    log_delta = math.log(delta / group)
    while True:
        epsilon = text.get_epsilon(math.exp(log_delta))
        if not math.isfinite(epsilon):
            return math.inf
        # log((exp(k e) - 1) / (exp(e) - 1)), which is log k at 0.
        growth = math.log(group) if epsilon == 0 else (group - 1) * epsilon + math.log(
            math.expm1(-group * epsilon) / math.expm1(-epsilon)
        )
        if log_delta + growth <= math.log(delta):
            return group * epsilon
        log_delta -= 0.25


def group_measures(mechanism: dict, delta: float, adjacency: str) -> dict:
    # Exchanging a client for another removes one group and adds one.
    group = mechanism["textsPerClient"] * (2 if adjacency == "substitution" else 1)
    found = dict.fromkeys(("textEpsilon", "groupEpsilon", "groupEpsilonByLemma"), math.inf)
    if mechanism["sigma"] > 0:
        text = _loss(mechanism, 1)
        found["textEpsilon"] = text.get_epsilon(delta)
        found["groupEpsilon"] = _loss(mechanism, group).get_epsilon(delta)
        found["groupEpsilonByLemma"] = _by_lemma(text, delta, group)
    # JSON has no infinity.
    told = {name: value if math.isfinite(value) else "infinite" for name, value in found.items()}
    return {"groupSize": mechanism["textsPerClient"], **told}
