# The clients of a simulation as token sequences, who of them takes part in a round, and how well a model tells the next
# token of the validation clients. Every choice follows from the seed.
from dataclasses import dataclass

import numpy as np
import torch

from ..evaluate_model import Sequence, sequences_of, told_over
from ..failure import Failure
from ..federated.clients import check_apart, read_rows, sequences_of_clients, texts_by_client


@dataclass
class Client:
    sequences: list[np.ndarray]


def both_groups(job: dict, tokenizer) -> tuple[list[Client], list[Client]]:
    """(the clients that are learned from, those for validation), each with at most `textsPerClient` texts."""
    mine, theirs = read_rows(job["clients"], "the clients"), read_rows(job["validation"], "the validation clients")
    check_apart(mine, theirs)
    groups = []
    for rows, name in ((mine, "clients"), (theirs, "validation clients")):
        made = sequences_of_clients(
            tokenizer, texts_by_client(rows), job["sequenceTokens"], job["textsPerClient"], job["seed"]
        )
        # A client with nothing to predict stays one: how many there are decides what sampling is worth.
        clients = [Client(own) for own in made]
        if not any(made):
            raise Failure("data", f"{name}: expected a client with a text of two tokens or more, got none")
        groups.append(clients)
    return groups[0], groups[1]


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

    def __init__(self, path: str, tokenizer, length: int):
        rows = [{"client": row.client, "text": row.text} for row in read_rows(path, "the validation clients")]
        self.sequences: list[Sequence] = sequences_of(tokenizer, rows, length)[0]
        if not self.sequences:
            raise Failure("data", f"{path}: expected a validation text of two tokens or more, got none")

    def __call__(self, model) -> dict:
        return told_over(model, self.sequences, next(model.parameters()).device)
