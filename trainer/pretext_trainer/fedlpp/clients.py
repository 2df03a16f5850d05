# The clients of a simulation as token sequences, who of them takes part in a round, and how well a model tells the next
# token of the validation clients. Every choice follows from the seed.
import json
from dataclasses import dataclass

import numpy as np
import torch

from ..evaluate_model import Sequence, sequences_of, sums_of
from ..failure import Failure
from ..tokens import encode


@dataclass
class Client:
    name: str
    sequences: list[np.ndarray]


def read_rows(path: str) -> list[dict]:
    """Rows with "client" and "text", checked; nothing of a row is ever in an error."""
    rows = []
    try:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                    good = isinstance(row["text"], str) and isinstance(row["client"], (str, int))
                except (ValueError, KeyError, TypeError):
                    good = False
                if not good:
                    raise Failure("data", f'{path}:{number}: expected a JSON object with a "client" and a "text"') from None
                rows.append({"client": row["client"], "text": row["text"]})
    except FileNotFoundError:
        raise Failure("data", f"{path}: expected a file of texts, found none") from None
    return rows


def clients_of(rows: list[dict], tokenizer, length: int, texts_per_client: int, seed: int) -> list[Client]:
    """Clients in the order of first appearance, each with at most `texts_per_client` of its texts."""
    own: dict[str, list[str]] = {}
    for row in rows:
        own.setdefault(str(row["client"]), []).append(row["text"])
    clients = []
    for place, (name, texts) in enumerate(own.items()):
        order = np.random.default_rng([seed, 11, place]).permutation(len(texts))[:texts_per_client]
        sequences = encode(tokenizer, [texts[i] for i in sorted(order)], length)
        if sequences:
            clients.append(Client(name, sequences))
    if not clients:
        raise Failure("data", "expected a client with a text of two tokens or more, got none")
    return clients


def draw(clients: int, cohort: int, sampling: str, seed: int, round_: int) -> list[int]:
    """Who takes part: everybody, each by a coin of its own, or a cohort of one size."""
    random = np.random.default_rng([seed, 12, round_])
    if sampling == "all":
        return list(range(clients))
    if sampling == "poisson":
        return np.flatnonzero(random.random(clients) < cohort / clients).tolist()
    return sorted(random.choice(clients, cohort, replace=False).tolist())


def check_cohort(job: dict, clients: int) -> int:
    """The (expected) size of a cohort."""
    if job["sampling"] == "all":
        return clients
    if job["cohort"] > clients:
        raise Failure("config", f"expected a cohort of at most {clients} clients, got {job['cohort']}")
    return job["cohort"]


class Validation:
    """Cross-entropy (nats per token) and accuracy over all tokens of texts, counted as the job evaluate-model does."""

    def __init__(self, path: str, tokenizer, length: int, micro: int):
        self.sequences: list[Sequence] = sequences_of(tokenizer, read_rows(path), length)[0]
        if not self.sequences:
            raise Failure("data", f"{path}: expected a validation text of two tokens or more, got none")
        self.sequences.sort(key=lambda s: len(s.ids))
        self._micro = micro

    def sums(self, model) -> np.ndarray:
        device = next(model.parameters()).device
        was = model.training
        model.eval()
        with torch.no_grad():
            parts = [
                sums_of(model, self.sequences[i : i + self._micro], device)
                for i in range(0, len(self.sequences), self._micro)
            ]
        model.train(was)
        return np.concatenate(parts)

    def __call__(self, model) -> dict:
        tokens, loss, right = self.sums(model)[:, :3].sum(axis=0)
        return {"loss": float(loss / tokens), "accuracy": float(right / tokens), "tokens": int(tokens)}
