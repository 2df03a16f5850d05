# One client after the other, each from the start again: train, measure, forget.
from pathlib import Path

import numpy as np
import torch

from ..failure import Failure
from ..step import padded
from ..tokens import encode
from .averaging import seed_of
from .clients import Row
from .language_model import LanguageModel, load, write
from .meter import Meter, flops_of, message_bytes
from .validation import Score, Validation


class Alone:
    def __init__(self, job: dict, held_out: list[Row], device: torch.device, folder: Path):
        self.job, self.device, self.folder = job, device, folder
        self.model = load(job).to(device)
        self.trained = self.model.trained()
        self.start = {name: p.detach().clone() for name, p in self.trained.items()}
        self.validation = Validation(self.model.tokenizer, held_out, job["sequenceTokens"])
        self.before = self.validation.score(self.model, device)
        self.start_bytes = message_bytes(dict(self.model.named_parameters()))
        self.meter = Meter()
        self.rows: list[dict] = []
        self._flops_per_token: float | None = None

    def client(self, index: int, texts: list[str], own: list[str]) -> None:
        """Trains on a client's texts and measures on those that it held out."""
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(self.start[name])
        sequences = encode(self.model.tokenizer, texts, self.job["sequenceTokens"])
        measured = self._own(own)
        before = measured.score(self.model, self.device) if measured is not None else None
        if sequences:
            self._train(index, sequences)
        self.meter.spent.participations += 1
        after = measured.score(self.model, self.device) if measured is not None else None
        row: dict = {"before": _told(before), "after": _told(after), "texts": len(sequences)}
        if index < self.job["models"]:
            row["model"] = _told(self.validation.score(self.model, self.device))
            write(self.model, self.folder / str(index))
        self.rows.append(row)

    def _own(self, own: list[str]) -> Validation | None:
        try:
            return Validation(self.model.tokenizer, [Row("", text) for text in own], self.job["sequenceTokens"])
        except Failure:
            # Nothing in them to predict.
            return None

    def _train(self, index: int, sequences: list[np.ndarray]) -> None:
        torch.manual_seed(seed_of(self.job["seed"], 23, index))
        optimiser = torch.optim.SGD(self.trained.values(), self.job["learningRate"])
        batch, places, steps = self.job["batch"] or len(sequences), 0, 0
        if self._flops_per_token is None:
            ids, labels = padded(sequences[:batch], self.device)
            self._flops_per_token = flops_of(lambda: self.model.loss(ids, labels)) / ids.numel()
            optimiser.zero_grad()
        self.meter.client_begins()
        for epoch in range(self.job["epochs"]):
            order = np.random.default_rng([self.job["seed"], 24, index, epoch]).permutation(len(sequences))
            for start in range(0, len(order), batch):
                ids, labels = padded([sequences[i] for i in order[start : start + batch]], self.device)
                self.model.loss(ids, labels).backward()
                optimiser.step()
                optimiser.zero_grad()
                places += ids.numel()
                steps += 1
        self.meter.client_ends(steps, places * self._flops_per_token)

    def result(self) -> dict:
        measured = [r for r in self.rows if r["before"] is not None]
        if not measured:
            raise Failure("data", "expected held-out texts of two tokens or more from some client, got none")
        models = [r["model"] for r in self.rows if "model" in r]
        meters = {**self.meter.told(1), "bytesDownPerClientRound": self.start_bytes, "bytesUpPerClientRound": 0}
        return {
            "model": None,
            "mechanisms": [],
            "meters": meters,
            # Of the local models that were drawn, on the validation clients: what one of them is worth to others.
            "validation": {
                "loss": float(np.mean([m["loss"] for m in models])),
                "accuracy": float(np.mean([m["accuracy"] for m in models])),
                "tokens": self.validation.tokens,
            },
            "measures": {
                "clients": len(measured),
                **_means("ownBefore", [r["before"] for r in measured]),
                **_means("ownAfter", [r["after"] for r in measured]),
                "clientsThatGained": sum(r["after"]["loss"] < r["before"]["loss"] for r in measured),
                "startLoss": self.before.loss,
                "startAccuracy": self.before.accuracy,
                "models": [
                    {"folder": str(self.folder / str(i)), "loss": m["loss"], "accuracy": m["accuracy"]}
                    for i, m in enumerate(models)
                ],
            },
        }


def _told(score: Score | None) -> dict | None:
    return None if score is None else {"loss": score.loss, "accuracy": score.accuracy, "tokens": score.tokens}


def _means(name: str, scores: list[dict]) -> dict:
    """Over clients, each counting alike, and over tokens."""
    tokens = sum(s["tokens"] for s in scores)
    return {
        f"{name}Loss": float(np.mean([s["loss"] for s in scores])),
        f"{name}Accuracy": float(np.mean([s["accuracy"] for s in scores])),
        f"{name}LossByToken": sum(s["loss"] * s["tokens"] for s in scores) / tokens,
    }
