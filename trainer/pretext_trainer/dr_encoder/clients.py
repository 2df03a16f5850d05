# The simulated clients: their texts, who is drawn in a round, and what one of them does on its own device. Every draw follows
# from the seed and the place (round, client), so that an interrupted run goes on to the same numbers.
import json
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..evaluate_model import sequences_of, told_over
from ..failure import Failure
from ..step import loss_sum, predicted_tokens
from ..tokens import encode

# Those that clips and priors are taken from, and their texts where a client may use all of its own.
PUBLIC_CLIENTS, PUBLIC_TEXTS = 32, 8


@dataclass(frozen=True)
class Client:
    name: str
    sequences: list[np.ndarray]


@dataclass(frozen=True)
class Plan:
    """One client's local training: fresh AdamW, a constant rate."""

    epochs: int
    batch: int
    learningRate: float
    clipNorm: float


def rows_of(path: str) -> list[dict]:
    rows = []
    try:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                    rows.append({"client": str(row.get("client", "")), "text": row["text"]})
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise Failure("data", f'{path}:{number}: expected a JSON object with a "text"') from None
    except FileNotFoundError:
        raise Failure("data", f"{path}: expected a file of texts, found none") from None
    return rows


def read_clients(path: str, tokenizer, length: int, most: int | None, seed: int) -> list[Client]:
    """Clients in the order of the file; at most `most` texts of each, drawn by the seed. One with nothing to predict stays one:
    how many there are decides what a mean and a sampling are worth."""
    texts: dict[str, list[str]] = {}
    for row in rows_of(path):
        texts.setdefault(row["client"], []).append(row["text"])
    clients = []
    for place, (name, own) in enumerate(texts.items()):
        if most is not None and len(own) > most:
            chosen = np.random.default_rng([seed, 11, place]).permutation(len(own))[:most]
            own = [own[i] for i in sorted(chosen)]
        clients.append(Client(name, encode(tokenizer, own, length)))
    if not any(client.sequences for client in clients):
        raise Failure("data", f"{path}: expected clients with texts of two tokens or more, got none")
    return clients


def somebody(clients: list[Client]) -> Client:
    """The first who has something to predict: whose work is counted once for all."""
    return next(client for client in clients if client.sequences)


def public_clients(job: dict, tokenizer) -> list[Client]:
    """Public texts as if they were clients, each with as many as one may use: nothing here looks at anybody's."""
    size = job["textsPerClient"] or PUBLIC_TEXTS
    texts = [row["text"] for row in rows_of(job["publicTexts"])][: PUBLIC_CLIENTS * size]
    sequences = encode(tokenizer, texts, job["sequenceTokens"])
    return [Client(f"public-{i}", sequences[i : i + size]) for i in range(0, len(sequences), size)]


def fixed_size(clients: int, rate: float) -> int:
    """As JavaScript rounds, which calibrates the noise for it."""
    return max(1, int(clients * rate + 0.5))


def cohort(sampling: str, clients: int, rate: float, seed: int, round_: int) -> list[int]:
    """Who takes part: all, each by its own coin, or a set of fixed size."""
    if sampling == "all":
        return list(range(clients))
    random = np.random.default_rng([seed, 12, round_])
    if sampling == "poisson":
        return np.flatnonzero(random.random(clients) < rate).tolist()
    return sorted(random.permutation(clients)[: fixed_size(clients, rate)].tolist())


def train_locally(
    model: nn.Module, sequences: list[np.ndarray], plan: Plan, device: torch.device, place: list[int]
) -> int:
    """Trains what requires a gradient, in place. Answers with the tokens that were padded, sent through and learned from."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=plan.learningRate, weight_decay=0.0)
    model.train()
    torch.manual_seed(int(np.random.SeedSequence([*place, 13]).generate_state(1)[0]))
    through = 0
    for epoch in range(plan.epochs):
        order = np.random.default_rng([*place, 14, epoch]).permutation(len(sequences))
        for start in range(0, len(order), plan.batch):
            batch = [sequences[i] for i in order[start : start + plan.batch]]
            loss = loss_sum(lambda ids: model(input_ids=ids, use_cache=False).logits, batch, device)
            (loss / predicted_tokens(batch)).backward()
            torch.nn.utils.clip_grad_norm_(trained, plan.clipNorm)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            through += len(batch) * max(len(s) for s in batch)
    return through


@torch.no_grad()
def flat_of(parameters: list[nn.Parameter]) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in parameters])


@torch.no_grad()
def put(parameters: list[nn.Parameter], flat: torch.Tensor) -> None:
    start = 0
    for parameter in parameters:
        parameter.copy_(flat[start : start + parameter.numel()].view_as(parameter))
        start += parameter.numel()


def next_token(model: nn.Module, tokenizer, rows: list[dict], length: int, device: torch.device) -> dict:
    """Loss and accuracy as the job `evaluate-model` counts them."""
    sequences = sequences_of(tokenizer, rows, length)[0]
    if not sequences:
        raise Failure("data", "expected validation texts with at least two tokens, got none")
    return told_over(model, sequences, device)
