"""Golden values for the Gaussian accountant and its special function, by independent implementations.

    python3 -m venv v && v/bin/pip install dp-accounting==0.6.0 mpmath==1.3.0 && v/bin/python test/golden/accounting.py

writes accounting.json beside this script.
"""
import itertools
import json
import pathlib

import mpmath
from dp_accounting import dp_event, mechanism_calibration
from dp_accounting.pld import pld_privacy_accountant

mpmath.mp.dps = 40


def delta(epsilon, mu):
    epsilon, mu = mpmath.mpf(epsilon), mpmath.mpf(mu)
    return mpmath.ncdf(mu / 2 - epsilon / mu) - mpmath.exp(epsilon) * mpmath.ncdf(-mu / 2 - epsilon / mu)


def epsilon(sigma, count, target):
    """By bisection at 40 digits; checked against dp-accounting's PLD below."""
    mu = mpmath.sqrt(count) / mpmath.mpf(sigma)
    low, high = mpmath.mpf(0), mu * mu / 2 + mu * mpmath.sqrt(2 * mpmath.log(1 / mpmath.mpf(target)))
    for _ in range(130):
        middle = (low + high) / 2
        low, high = (middle, high) if delta(middle, mu) > target else (low, middle)
    return high


rows = []
for sigma, count, target in itertools.product([0.5, 1, 2.31, 4, 11.3, 50], [1, 5, 11, 100], [1e-5, 3e-6, 1e-9, 1e-12]):
    exact = float(epsilon(sigma, count, target))
    if count == 11 and target == 3e-6:
        accountant = pld_privacy_accountant.PLDAccountant()
        accountant.compose(dp_event.GaussianDpEvent(sigma), count)
        pld = accountant.get_epsilon(target)
        assert abs(pld - exact) < 1e-3, (sigma, pld, exact)
    rows.append({"sigma": sigma, "releases": count, "delta": target, "epsilon": exact})

special = [
    {"x": x, "erfcx": float(mpmath.exp(mpmath.mpf(x) ** 2) * mpmath.erfc(x))}
    for x in [-5, -3, -1, -0.3, 0, 1e-8, 0.1, 0.5, 0.9, 0.999, 1, 1.001, 1.5, 2, 3, 5, 10, 26, 50, 1e4]
]
out = pathlib.Path(__file__).with_name("accounting.json")
out.write_text(json.dumps({"gaussian": rows, "special": special}, indent=1) + "\n")
