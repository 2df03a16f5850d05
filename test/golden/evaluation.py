# Golden values of the figures of `pretext evaluate`, by the libraries that define them and not by ours:
# scipy.linalg.sqrtm for the Frechet distance, prdc 0.2 for precision and recall, mauve-text 0.4.0, scikit-learn for the
# classifier, scipy for the distances of distributions, sacrebleu for BLEU.
#   pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 prdc==0.2 mauve-text==0.4.0 sacrebleu==2.6.0
#   python test/golden/evaluation.py > test/golden/evaluation.json
import contextlib
import io
import json
import re

import numpy as np
import sacrebleu
from mauve.compute_mauve import compute_mauve
from prdc import compute_prdc
from scipy.linalg import sqrtm
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score

random = np.random.default_rng(20)
DIM = 6
LEXICON = "parser image mail sound network kernel editor library window script".split()


def texts(count: int, shift: int) -> list[str]:
    return [
        " ".join(str(w) for w in random.choice(LEXICON[: 10 - shift], size=int(random.integers(4, 9 + shift))))
        for _ in range(count)
    ]


def features(count: int, shift: float) -> np.ndarray:
    return np.round(random.normal(shift, 1 + shift / 2, size=(count, DIM)), 3).astype(np.float32)


reference = {"features": features(80, 0.0), "texts": texts(80, 0)}
synthetic = {"features": features(70, 0.4), "texts": texts(70, 3)}
for side in (reference, synthetic):
    side["labels"] = [int(row[0] + 0.5 * row[1] > 0) + int(row[2] > 0.8) for row in side["features"]]

r, s = reference["features"], synthetic["features"]
r64, s64 = r.astype(np.float64), s.astype(np.float64)
cov_r, cov_s = np.cov(r64, rowvar=False), np.cov(s64, rowvar=False)
fid = ((r64.mean(0) - s64.mean(0)) ** 2).sum() + np.trace(cov_r + cov_s - 2 * np.real(sqrtm(cov_r @ cov_s)))
with contextlib.redirect_stdout(io.StringIO()):
    manifold = compute_prdc(real_features=r, fake_features=s, nearest_k=3)
mauve = compute_mauve(p_features=r, q_features=s, num_buckets=7, seed=0).mauve

model = LogisticRegression(max_iter=2000, random_state=0).fit(s, synthetic["labels"])
predicted = model.predict(r)

split = lambda side: [re.findall(r"[^\W_]+", text.lower()) for text in side["texts"]]  # noqa: E731
frequencies = lambda side: np.asarray([sum(t.count(w) for t in split(side)) for w in LEXICON], float)  # noqa: E731


def distinct(n: int) -> float:
    grams = [tuple(t[i : i + n]) for t in split(synthetic) for i in range(len(t) - n + 1)]
    return len(set(grams)) / len(grams)


own = synthetic["texts"]
bleus = [
    sacrebleu.sentence_bleu(text, own[:i] + own[i + 1 :], use_effective_order=True).score / 100
    for i, text in enumerate(own)
]
cosine = (r / np.linalg.norm(r, axis=1, keepdims=True)) @ (s / np.linalg.norm(s, axis=1, keepdims=True)).T

print(
    json.dumps(
        {
            "dim": DIM,
            "reference": {**reference, "features": r.astype(float).round(3).tolist()},
            "synthetic": {**synthetic, "features": s.astype(float).round(3).tolist()},
            "figures": {
                "nearest-distance": float(1 - cosine.max(axis=1).mean()),
                "fid": float(fid),
                "mauve": float(mauve),
                "precision": float(manifold["precision"]),
                "recall": float(manifold["recall"]),
                "length-distance": float(
                    wasserstein_distance(*[[len(t.split()) for t in side["texts"]] for side in (reference, synthetic)])
                ),
                "vocabulary-divergence": float(
                    jensenshannon(frequencies(reference), frequencies(synthetic), base=2) ** 2
                ),
                "distinct-1": distinct(1),
                "distinct-2": distinct(2),
                "self-bleu": float(np.mean(bleus)),
                "classifier-accuracy": float(accuracy_score(reference["labels"], predicted)),
                "classifier-f1": float(f1_score(reference["labels"], predicted, average="macro")),
            },
        }
    )
)
