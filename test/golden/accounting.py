"""Golden values for the accountants and their special function, by independent implementations.

    python3 -m venv v && v/bin/pip install dp-accounting==0.6.0 mpmath==1.3.0 && v/bin/python test/golden/accounting.py

writes accounting.json beside this script. dp-accounting's Renyi divergence of Poisson sampling is pessimistic at
fractional orders (its log-binomials drop signs), so the raw divergences there are integrated with mpmath instead; its two
accountants disagree about REPLACE_ONE, so only add-remove is taken from it, but for sampling without replacement.
"""
import itertools
import json
import pathlib

import mpmath
from dp_accounting import dp_event, privacy_accountant
from dp_accounting.pld import privacy_loss_distribution as losses
from dp_accounting.rdp import rdp_privacy_accountant as renyi

mpmath.mp.dps = 40


def delta(epsilon, mu):
    epsilon, mu = mpmath.mpf(epsilon), mpmath.mpf(mu)
    return mpmath.ncdf(mu / 2 - epsilon / mu) - mpmath.exp(epsilon) * mpmath.ncdf(-mu / 2 - epsilon / mu)


def epsilon_of_mu(mu, target):
    low, high = mpmath.mpf(0), mu * mu / 2 + mu * mpmath.sqrt(2 * mpmath.log(1 / mpmath.mpf(target)))
    for _ in range(130):
        middle = (low + high) / 2
        low, high = (middle, high) if delta(middle, mu) > target else (low, middle)
    return high


def epsilon(sigma, count, target):
    """By bisection at 40 digits; checked against dp-accounting's PLD below."""
    return epsilon_of_mu(mpmath.sqrt(count) / mpmath.mpf(sigma), target)


def sigma_for(target_epsilon, count, target):
    low, high = mpmath.mpf("0.01"), mpmath.mpf(1000)
    for _ in range(110):
        middle = mpmath.sqrt(low * high)
        low, high = (middle, high) if delta(target_epsilon, mpmath.sqrt(count) / middle) > target else (low, middle)
    return high


def distribution(sigma, q, count, pessimistic):
    """Connect-the-dots from above; from below privacy buckets, rounded down."""
    one = losses.from_gaussian_mechanism(
        sigma,
        sampling_prob=q,
        value_discretization_interval=1e-4,
        pessimistic_estimate=pessimistic,
        use_connect_dots=pessimistic,
    )
    return one.self_compose(count)


def rdp_epsilon(event, target, relation=privacy_accountant.NeighboringRelation.ADD_OR_REMOVE_ONE):
    accountant = renyi.RdpAccountant(neighboring_relation=relation)
    accountant.compose(event)
    return accountant.get_epsilon(target)


def zcdp(sigma, count, target):
    """Canonne, Kamath, Steinke 2020, Proposition 12, minimised over orders at 40 digits."""
    rho = count / (2 * mpmath.mpf(sigma) ** 2)
    value = lambda t: rho * (1 + mpmath.e**t) + t - mpmath.log1p(mpmath.e**t) - (
        mpmath.log(target) + mpmath.log1p(mpmath.e**t)
    ) / mpmath.e**t
    low, high = mpmath.mpf(-6), mpmath.mpf(18)
    golden = (mpmath.sqrt(5) - 1) / 2
    for _ in range(120):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if value(left) < value(right) else (left, high)
    return value(low)


def log_moment(q, sigma, order, direction):
    """(order - 1) x Renyi divergence by quadrature at 40 digits."""
    q, sigma, order = mpmath.mpf(q), mpmath.mpf(sigma), mpmath.mpf(order)
    ratio = lambda x: 1 - q + q * mpmath.exp((2 * x - 1) / (2 * sigma**2))
    power = order if direction == "remove" else 1 - order
    f = lambda x: mpmath.npdf(x, 0, sigma) * ratio(x) ** power
    reach = max(14 * sigma, 4)
    points = sorted({-reach + min(power, 0), -3 * sigma, 0, sigma, order / 2, order, reach + max(power, 1)})
    return mpmath.log(mpmath.quad(f, points))


rows = []
for sigma, count, target in itertools.product([0.5, 1, 2.31, 4, 11.3, 50], [1, 5, 11, 100], [1e-5, 3e-6, 1e-9, 1e-12]):
    rows.append({"sigma": sigma, "releases": count, "delta": target, "epsilon": float(epsilon(sigma, count, target))})

SQRT2 = 2**0.5
SETTINGS = [
    (11.3, 1, 11, 3e-6), (2.31, 1, 11, 3e-6), (19.3, 1, 11, 3e-6), (1, 1, 1, 1e-5), (1, 1, 1, 1e-6), (2, 1, 1, 1e-6),
    (4, 1, 1, 1e-6), (5, 1, 10, 1e-6), (10, 1, 10, 1e-6), (10, 1, 20, 1e-6), (20, 1, 20, 1e-9), (0.5, 1, 1, 1e-5),
    (50, 1, 100, 1e-8), (11.3 / SQRT2, 1, 11, 3e-6), (2.31 / SQRT2, 1, 11, 3e-6),
    (1, 0.01, 1000, 1e-5), (1, 0.1, 11, 3e-6), (2, 0.1, 11, 3e-6), (2.31, 0.1, 11, 3e-6), (2.31, 0.5, 11, 3e-6),
    (1.1, 0.004, 10000, 1e-5), (0.8, 0.01, 100, 1e-6), (4, 0.25, 50, 1e-6), (11.3, 0.5, 11, 3e-6), (0.7, 0.02, 200, 1e-6),
    (3, 0.9, 5, 1e-6),
]
CLIENTS = 100_000
table = []
for sigma, q, count, target in SETTINGS:
    event = dp_event.GaussianDpEvent(sigma)
    row = {"sigma": sigma, "rate": q, "releases": count, "delta": target}
    if q == 1:
        row["analytic"] = float(epsilon(sigma, count, target))
        row["zcdp"] = float(zcdp(sigma, count, target))
        rho = count / (2 * sigma**2)
        row["zcdpClassic"] = float(rho + 2 * mpmath.sqrt(-rho * mpmath.log(target)))
        sampled = event
    else:
        sampled = dp_event.PoissonSampledDpEvent(q, event)
        fixed = dp_event.SampledWithoutReplacementDpEvent(CLIENTS, round(q * CLIENTS), event)
        row["fixedSize"] = float(
            rdp_epsilon(
                dp_event.SelfComposedDpEvent(fixed, count), target, privacy_accountant.NeighboringRelation.REPLACE_ONE
            )
        )
    row["rdp"] = float(rdp_epsilon(dp_event.SelfComposedDpEvent(sampled, count), target))
    row["pldAbove"] = float(distribution(sigma, q, count, True).get_epsilon_for_delta(target))
    row["pldBelow"] = float(distribution(sigma, q, count, False).get_epsilon_for_delta(target))
    if q == 1:
        assert abs(row["pldAbove"] - row["analytic"]) < 1e-5, row
    table.append(row)

calibration = [
    {"epsilon": e, "releases": 11, "delta": 3e-6, "sigma": float(sigma_for(e, 11, 3e-6))}
    for e in [0.5, 1, 1.29, 2, 4, 7.58, 8, 10]
]
by_releases = [
    {"sigma": sigma, "releases": count, "delta": 3e-6, "epsilon": float(epsilon(sigma, count, 3e-6))}
    for sigma, count in itertools.product([11.3, 2.31], [1, 2, 5, 20, 50])
]
deltas = [
    {"epsilon": e, "mu": mu, "delta": float(delta(e, mu))}
    for e, mu in [(0, 1), (0.5, 1), (1, 1), (2, 1), (4, 1), (8, 1), (1, 0.5), (2, 0.5), (0.5, 0.25), (1, 0.25), (1, 2), (4, 2), (8, 4)]
]

different = dp_event.ComposedDpEvent(
    [
        dp_event.SelfComposedDpEvent(dp_event.GaussianDpEvent(4), 5),
        dp_event.SelfComposedDpEvent(dp_event.GaussianDpEvent(8), 6),
    ]
)
mixed = dp_event.ComposedDpEvent(
    [
        dp_event.SelfComposedDpEvent(dp_event.GaussianDpEvent(6), 3),
        dp_event.SelfComposedDpEvent(dp_event.PoissonSampledDpEvent(0.2, dp_event.GaussianDpEvent(3)), 8),
    ]
)
mu = mpmath.sqrt(mpmath.mpf(5) / 16 + mpmath.mpf(6) / 64)
composed = {
    "different": {
        "mu": float(mu),
        "analytic": float(epsilon_of_mu(mu, 1e-6)),
        "pld": float(distribution(4, 1, 5, True).compose(distribution(8, 1, 6, True)).get_epsilon_for_delta(1e-6)),
        "rdp": float(rdp_epsilon(different, 1e-6)),
    },
    "mixed": {
        "pld": float(distribution(6, 1, 3, True).compose(distribution(3, 0.2, 8, True)).get_epsilon_for_delta(1e-6)),
        "rdp": float(rdp_epsilon(mixed, 1e-6)),
    },
}

ORDERS = [2, 3, 5, 8, 16, 32]
poisson = []
for q, sigma in [(0.1, 2), (0.01, 1), (0.5, 2.31), (0.25, 4)]:
    theirs = renyi._compute_rdp_poisson_subsampled_gaussian(q, sigma, ORDERS)
    for order in [1.25, 1.5, *ORDERS]:
        remove = log_moment(q, sigma, order, "remove") / (mpmath.mpf(order) - 1)
        add = log_moment(q, sigma, order, "add") / (mpmath.mpf(order) - 1)
        assert add <= remove
        if order in ORDERS:
            assert abs(theirs[ORDERS.index(order)] / remove - 1) < 1e-8
        poisson.append({"rate": q, "sigma": sigma, "order": order, "remove": float(remove), "add": float(add)})
fixed_size = [
    {"rate": q, "sigma": sigma, "order": order, "divergence": float(value)}
    for q, sigma in [(0.1, 4), (0.01, 5)]
    for order, value in zip(ORDERS, renyi._compute_rdp_sample_wor_gaussian(q, sigma, ORDERS))
]

laplace = [
    {
        "scale": scale,
        "releases": count,
        "delta": target,
        "above": float(
            losses.from_laplace_mechanism(scale, value_discretization_interval=1e-4)
            .self_compose(count)
            .get_epsilon_for_delta(target)
        ),
        "below": float(
            losses.from_laplace_mechanism(
                scale, value_discretization_interval=1e-4, pessimistic_estimate=False, use_connect_dots=False
            )
            .self_compose(count)
            .get_epsilon_for_delta(target)
        ),
    }
    for scale, count, target in [(1, 1, 1e-5), (4, 10, 1e-6), (20, 50, 1e-8)]
]

special = [
    {"x": x, "erfcx": float(mpmath.exp(mpmath.mpf(x) ** 2) * mpmath.erfc(x))}
    for x in [-5, -3, -1, -0.3, 0, 1e-8, 0.1, 0.5, 0.9, 0.999, 1, 1.001, 1.5, 2, 3, 5, 10, 26, 50, 1e4]
]
out = pathlib.Path(__file__).with_name("accounting.json")
out.write_text(
    json.dumps(
        {
            "gaussian": rows,
            "special": special,
            "table": table,
            "calibration": calibration,
            "byReleases": by_releases,
            "deltas": deltas,
            "composed": composed,
            "poisson": poisson,
            "fixedSize": fixed_size,
            "laplace": laplace,
        },
        indent=1,
    )
    + "\n"
)
