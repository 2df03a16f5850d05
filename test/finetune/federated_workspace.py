# A comparison of seconds: twelve clients with a few sentences each, and a Llama of two layers to start from.
import copy
import json
import os
import tempfile
from pathlib import Path

os.environ["PFL_PYTORCH_DEVICE"] = "cpu"

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pretext_trainer.channel import Channel
from pretext_trainer.tokens import learn_vocabulary

torch.set_num_threads(1)
WORDS = "parser image mail sound network kernel editor library window script module archive server client".split()
CLIENTS = 12


def _rows(path: Path, clients: range, seed: int) -> str:
    random = np.random.default_rng(seed)
    rows = [
        {"client": f"c{c}", "text": f"The {' '.join(random.choice(WORDS, 7))}."} for c in clients for _ in range(1 + c % 5)
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    return str(path)


class Workspace:
    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="federated-"))
        self.clients = _rows(self.folder / "clients.jsonl", range(CLIENTS), 1)
        self.validation = _rows(self.folder / "validation.jsonl", range(100, 108), 2)
        tokenizer = learn_vocabulary([f"The {a} {b}." for a in WORDS for b in WORDS], 320)
        torch.manual_seed(3)
        network = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=2,
                tie_word_embeddings=True,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        self.start = str(self.folder / "start")
        network.save_pretrained(self.start)
        tokenizer.save_pretrained(self.start)

    def _inputs(self, name: str) -> dict:
        return {
            "out": str(self.folder / name),
            "resume": False,
            "clients": self.clients,
            "validation": self.validation,
            "start": self.start,
            "sequenceTokens": 32,
            "seed": 7,
            "delta": 1e-5,
            "adjacency": "add-remove",
            "device": "cpu",
            "threads": 1,
            "lora": None,
            "keep": "last",
        }

    def federated(self, name: str = "out", **change) -> dict:
        job = {
            **self._inputs(name),
            "kind": "federated",
            "rounds": 3,
            "sampling": "all",
            "cohort": None,
            "client": {"learningRate": 0.5, "epochs": 1, "steps": None, "batch": 2, "gradientNorm": None, "texts": None},
            "server": {"optimiser": "sgd", "learningRate": 1.0, "momentum": 0.9},
            "clip": {"kind": "fixed", "bound": 0.2},
            "noise": "independent",
            "noiseMultiplier": 0.5,
            "validateRounds": None,
            "checkpointRounds": 10,
            "processes": 1,
        }
        client = {**job["client"], **change.pop("client", {})}
        return {**job, "client": client, **change}

    def central(self, name: str = "central", **change) -> dict:
        return {
            **self._inputs(name),
            "kind": "central-dp",
            "unit": "client",
            "steps": 4,
            "batch": 6,
            "texts": None,
            "optimiser": "sgd",
            "learningRate": 0.5,
            "momentum": 0.0,
            "clip": 1.0,
            "noiseMultiplier": 0.5,
            "validateSteps": None,
            "checkpointSteps": 50,
            **change,
        }

    def local(self, name: str = "local", **change) -> dict:
        return {
            **self._inputs(name),
            "kind": "local",
            "sample": None,
            "heldOut": 0.25,
            "epochs": 4,
            "learningRate": 0.5,
            "batch": 4,
            "models": 2,
            **change,
        }


def silent(heard: list[dict] | None = None, on_event=None) -> Channel:
    def write(line: str) -> None:
        event = json.loads(line)
        if heard is not None:
            heard.append(event)
        if on_event is not None:
            on_event(event)

    return Channel(write)


def rounds_of(job: dict):
    """The rounds of a job, ready to run, for tests that change a part of them."""
    from pretext_trainer.federated.clients import read_rows, texts_by_client
    from pretext_trainer.federated.rounds import Rounds

    texts = texts_by_client(read_rows(job["clients"], "clients"))
    return Rounds(copy.deepcopy(job), silent(), "training", texts, read_rows(job["validation"], "validation clients"))


def run(rounds) -> None:
    from pretext_trainer.checkpoints import Checkpoints

    rounds.run(Checkpoints(Path(rounds.job["out"]) / "checkpoints"), {})


def weights(model) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in model.trained().values()])

