"""Golden values for Clopper-Pearson intervals, by scipy.

    python3 -m venv v && v/bin/pip install scipy==1.17.1 && v/bin/python test/golden/clopper-pearson.py

writes clopper-pearson.json beside this script: [hits, trials, alpha, one-sided lower end, one-sided upper end].
"""
import json
import pathlib

from scipy.stats import beta

rows = []
for trials in (100, 10_000, 125_000, 1_000_000):
    for hits in sorted(k for k in {0, 1, 2, 10, 66, 746, trials // 10, trials // 2, trials - 1, trials} if k <= trials):
        for alpha in (1e-8, 5e-4, 0.025):
            lower = 0.0 if hits == 0 else float(beta.ppf(alpha, hits, trials - hits + 1))
            upper = 1.0 if hits == trials else float(beta.isf(alpha, hits + 1, trials - hits))
            rows.append([hits, trials, alpha, lower, upper])

lines = ",\n".join("  " + json.dumps(row) for row in rows)
pathlib.Path(__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n")
