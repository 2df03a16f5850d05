# The job "evaluate-corpora": synthetic texts (columns, each of one set or of several that are one thing) against a reference of real ones. Texts and embeddings come
# in a private folder that whoever wrote the job removes; only figures go back.
import json
import warnings
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from . import evaluate_fidelity as fidelity
from . import evaluate_words as vocabulary
from .channel import Channel
from .evaluate_intervals import Drawn, bootstrap, half_samples, interval
from .failure import Failure
from .stop import stop_wanted, stopped

# MAUVE clusters anew in every resample.
MAUVE_RESAMPLES = 12
# Half-samples recompute a covariance or an ordering each.
HALVES = 100
# They lie between 0 and 1, and so do their intervals.
SHARES = {"precision", "recall", "mauve", "distinct-1", "distinct-2"}


class TextSet:
    def __init__(self, folder: Path, name: str, dim: int):
        self.rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]
        self.texts = [row["text"] for row in self.rows]
        self.words = [vocabulary.words(text) for text in self.texts]
        self.lengths = np.asarray([len(text.split()) for text in self.texts])
        self.labels = [row.get("label") for row in self.rows]
        values = np.fromfile(folder / f"{name}.f32", dtype="<f4")
        if values.size != len(self.rows) * dim:
            raise Failure("data", f"expected {len(self.rows)} embeddings of {dim} dimensions, got another number")
        self.features = values.reshape(-1, dim)
        if not np.isfinite(self.features).all():
            raise Failure("data", "expected finite embeddings, got infinity or NaN")


def run(job: dict, channel: Channel) -> dict:
    # Matrices of a few hundred rows: on busy cores threads that wait for each other cost more than they bring (8 times).
    with threadpool_limits(limits=1):
        return _figures(job, channel)


def _figures(job: dict, channel: Channel) -> dict:
    folder = Path(job["folder"])
    reference = TextSet(folder, "reference", job["dim"])
    clients = [row["client"] for row in reference.rows]
    wanted = job["metrics"]
    columns = []
    for number, column in enumerate(job["columns"]):
        sets = [_Set(job, reference, clients, TextSet(folder, file, job["dim"])) for file in column["files"]]
        figures, skipped = {}, {}
        for done, metric in enumerate(wanted):
            if stop_wanted():
                raise stopped()
            channel.progress("figures", number * len(wanted) + done, len(job["columns"]) * len(wanted), "figures")
            try:
                outcome = _outcome(metric, sets, job["seed"])
            except ModuleNotFoundError as error:
                outcome = f"the Python that runs the evaluation has no package {error.name}"
            if isinstance(outcome, str):
                skipped[metric] = outcome
            else:
                figures[metric] = outcome
        columns.append({"name": column["name"], "texts": len(sets[0].own.texts), "figures": figures, "skipped": skipped})
    channel.progress("figures", len(job["columns"]) * len(wanted), len(job["columns"]) * len(wanted), "figures")
    return {"referenceTexts": len(clients), "referenceClients": len(set(clients)), "columns": columns}


def _outcome(metric: str, sets: list["_Set"], seed: int) -> dict | str:
    """The figure over all sets with its interval, or why there is none."""
    measured = [one.measure(metric) for one in sets]
    reasons = [one for one in measured if isinstance(one, str)]
    if reasons:
        return reasons[0]
    value, low, high = interval(measured, seed)
    if metric in SHARES:
        low, high = max(0.0, low), min(1.0, high)
    figure = {"value": value, "low": low, "high": high}
    return {**figure, "texts": min(vocabulary.SELF_BLEU_TEXTS, len(sets[0].own.texts))} if metric == "self-bleu" else figure


class _Set:
    def __init__(self, job: dict, reference: TextSet, clients: list[int], own: TextSet):
        self.job, self.reference, self.clients, self.own = job, reference, clients, own
        self._manifolds: fidelity.Manifolds | None = None

    def measure(self, metric: str) -> Drawn | str:
        """The statistic with its draws, or why there is none."""
        return getattr(self, "_" + metric.replace("-", "_"))()

    def _by_clients(self, statistic, resamples: int = HALVES) -> Drawn:
        resamples = min(resamples, self.job["resamples"])
        return half_samples(self.clients, statistic, resamples, self.job["seed"])

    def _by_texts(self, statistic) -> Drawn:
        texts = range(len(self.own.texts))
        return half_samples(texts, statistic, min(HALVES, self.job["resamples"]), self.job["seed"])

    def _few(self, least: int) -> str | None:
        smaller = min(len(self.own.texts), len(self.clients))
        return None if smaller >= least else f"needs at least {least} texts on both sides, got {smaller}"

    def _nearest_distance(self) -> Drawn:
        reference, own = _unit(self.reference.features), _unit(self.own.features)
        nearest = 1 - (reference @ own.T).max(axis=1)
        return self._mean(nearest)

    def _mean(self, values: np.ndarray) -> Drawn:
        def mean(weights: np.ndarray) -> float:
            return float(weights @ values / weights.sum())

        return bootstrap(self.clients, mean, self.job["resamples"], self.job["seed"])

    def _fid(self) -> Drawn | str:
        if reason := self._few(4):
            return reason
        first = fidelity.moments(self.own.features)
        first_root = fidelity.root(first[1])
        return self._by_clients(
            lambda rows: fidelity.frechet(first, first_root, fidelity.moments(self.reference.features[rows]))
        )

    def _manifold(self) -> fidelity.Manifolds:
        if self._manifolds is None:
            self._manifolds = fidelity.Manifolds(
                self.reference.features, self.own.features, self.job["neighbours"]
            )
        return self._manifolds

    def _precision(self) -> Drawn | str:
        return self._few(2 * self.job["neighbours"] + 2) or self._by_clients(self._manifold().precision)

    def _recall(self) -> Drawn | str:
        return self._few(2 * self.job["neighbours"] + 2) or self._by_clients(self._manifold().recall)

    def _mauve(self) -> Drawn | str:
        if reason := self._few(40):
            return reason
        buckets = fidelity.mauve_buckets(len(self.clients), len(self.own.texts))
        return self._by_clients(
            lambda rows: fidelity.mauve(
                self.reference.features[rows], self.own.features, min(buckets, len(rows)), self.job["seed"]
            ),
            MAUVE_RESAMPLES,
        )

    def _length_distance(self) -> Drawn:
        return self._by_clients(
            lambda rows: vocabulary.length_distance(self.reference.lengths[rows], self.own.lengths)
        )

    def _vocabulary_divergence(self) -> Drawn:
        own = vocabulary.counted(self.own.words)
        return self._by_clients(
            lambda rows: vocabulary.vocabulary_divergence(
                vocabulary.counted([self.reference.words[row] for row in rows]), own
            ),
            40,
        )

    def _distinct_1(self) -> Drawn:
        return self._by_texts(lambda rows: vocabulary.distinct([self.own.words[row] for row in rows], 1))

    def _distinct_2(self) -> Drawn:
        return self._by_texts(lambda rows: vocabulary.distinct([self.own.words[row] for row in rows], 2))

    def _self_bleu(self) -> Drawn | str:
        texts = self.own.texts
        if len(texts) < 2:
            return "needs at least 2 texts, got 1"
        random = np.random.default_rng([self.job["seed"], 103])
        chosen = sorted(random.permutation(len(texts))[: vocabulary.SELF_BLEU_TEXTS].tolist())
        scores = vocabulary.self_bleu([texts[i] for i in chosen])

        def mean(weights: np.ndarray) -> float:
            return float(weights @ scores / weights.sum())

        return bootstrap(range(len(scores)), mean, self.job["resamples"], self.job["seed"])

    def _classified(self) -> tuple[np.ndarray, np.ndarray] | str:
        """(true, predicted) label of each reference text: trained on this column, tested on the reference."""
        from sklearn.linear_model import LogisticRegression

        labels = self.own.labels
        if any(label is None for label in labels) or any(label is None for label in self.reference.labels):
            return "the texts have no labels"
        if len(set(labels)) < 2:
            return "all of its texts have one label"
        if not hasattr(self, "_predicted"):
            model = LogisticRegression(max_iter=2000, random_state=self.job["seed"])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(self.own.features, labels)
            self._predicted = model.predict(self.reference.features)
        return np.asarray(self.reference.labels), self._predicted

    def _classifier_accuracy(self) -> Drawn | str:
        found = self._classified()
        return found if isinstance(found, str) else self._mean((found[0] == found[1]).astype(float))

    def _classifier_f1(self) -> Drawn | str:
        from sklearn.metrics import f1_score

        found = self._classified()
        if isinstance(found, str):
            return found
        true, predicted = found
        # Over the labels that the reference holds: one that is absent from a resample would count as 0.
        labels = sorted(set(true.tolist()))

        def f1(weights: np.ndarray) -> float:
            score = f1_score(true, predicted, labels=labels, average="macro", sample_weight=weights, zero_division=0)
            return float(score)

        return bootstrap(self.clients, f1, self.job["resamples"], self.job["seed"])


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
