# A Llama small enough to be trained in seconds, on sentences whose grammar can be learned, and clients whose words it has
# not seen together: what the tests of the arms start from.
import json
from pathlib import Path

import numpy as np
import torch

from pretext_trainer import start
from pretext_trainer.channel import Channel
from pretext_trainer.step import loss_sum, predicted_tokens
from pretext_trainer.tokens import encode

SUBJECTS = "parser image mail sound network kernel editor library".split()
VERBS = "reads writes sends draws builds checks keeps moves".split()
OBJECTS = "window script module archive server client table buffer".split()


def sentences(count: int, seed: int, twist: int = 0) -> list[str]:
    """A subject tells its verb, a verb its object; `twist` changes which. Half of what there is to say is chance."""
    random = np.random.default_rng([seed, twist])
    told = []
    for _ in range(count):
        parts = []
        for _ in range(3):
            s = int(random.integers(8))
            parts.append(f"the {SUBJECTS[s]} {VERBS[(s + twist) % 8]} the {OBJECTS[(3 * s + twist) % 8]}")
        told.append(", ".join(parts) + ".")
    return told


def rows(path: Path, clients: int, each: int, seed: int, twist: int, name: str) -> str:
    with path.open("w", encoding="utf-8") as file:
        for client in range(clients):
            for text in sentences(each, seed * 1000 + client, twist):
                file.write(json.dumps({"client": f"{name}{client}", "text": text}) + "\n")
    return str(path)


def tiny(folder: Path, *, layers: int = 4, width: int = 64, steps: int = 60, seed: int = 1, rate: float = 3e-3) -> str:
    """A trained start: its folder."""
    vocabulary = folder / "vocabulary.jsonl"
    public = sentences(240, 5)
    vocabulary.write_text("".join(json.dumps({"text": t}) + "\n" for t in public), "utf-8")
    wanted = {
        "layers": layers,
        "width": width,
        "heads": 4,
        "feedForward": 2 * width,
        "vocabulary": 300,
        "vocabularyTexts": str(vocabulary),
        "tokenizer": None,
    }
    begun = start.scratch(wanted, 32, seed, None, Channel(lambda _line: None))
    model = begun.model
    sequences = encode(begun.tokenizer, public, 32)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    order = np.random.default_rng(3)
    for _ in range(steps):
        batch = [sequences[i] for i in order.integers(len(sequences), size=16)]
        loss = loss_sum(lambda ids: model(input_ids=ids, use_cache=False).logits, batch, torch.device("cpu"))
        (loss / predicted_tokens(batch)).backward()
        optimiser.step()
        optimiser.zero_grad()
    model.save_pretrained(folder / "start")
    begun.tokenizer.save_pretrained(folder / "start")
    return str(folder / "start")
