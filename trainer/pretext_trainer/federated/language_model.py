# The model that clients train: a Transformers checkpoint, with all weights trained or with LoRA adapters, in the form that
# pfl asks for (a module with `loss` and `metrics`), and how it is written at the end.
import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from .. import start as starts
from ..checkpoints import write_aside
from ..failure import Failure


class LanguageModel(nn.Module):
    def __init__(self, start: starts.Start, lora: dict | None, seed: int):
        super().__init__()
        self.tokenizer = start.tokenizer
        if lora is None:
            self.network = start.model
        else:
            # Seconds, which a job without adapters does not wait for.
            from peft import LoraConfig, get_peft_model

            torch.manual_seed(seed)
            self.network = get_peft_model(
                start.model,
                LoraConfig(
                    r=lora["rank"], lora_alpha=lora["alpha"], target_modules="all-linear", task_type="CAUSAL_LM"
                ),
            )
        self.adapted = lora is not None

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.network(input_ids=ids, use_cache=False).logits

    def loss(self, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy over the next tokens of a batch. Padding stands at the end, where causal attention never looks."""
        logits = self(ids)[:, :-1].float()
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1))

    def metrics(self, *_data: torch.Tensor) -> dict:
        raise NotImplementedError("clients are not asked for metrics; validation.py measures")

    def trained(self) -> dict[str, nn.Parameter]:
        return {name: p for name, p in self.named_parameters() if p.requires_grad}


def load(job: dict) -> LanguageModel:
    start = starts.checkpoint({"from": "folder", "model": job["start"], "revision": None}, torch.float32)
    longest = getattr(start.model.config, "max_position_embeddings", None)
    if longest is not None and job["sequenceTokens"] > longest:
        raise Failure("config", f"expected sequences of at most {longest} tokens for {job['start']}, got {job['sequenceTokens']}")
    if not start.tokenizer.is_fast:
        raise Failure("config", f"{job['start']}: expected a fast tokenizer (tokenizer.json), got a slow one")
    return LanguageModel(start, job["lora"], job["seed"]).train()


def write(model: LanguageModel, folder: Path) -> None:
    """The whole model, with adapters merged into it, as any other checkpoint. The model goes on as it was."""
    whole = copy.deepcopy(model.network).merge_and_unload() if model.adapted else model.network
    write_aside(folder, lambda aside: (whole.save_pretrained(aside), model.tokenizer.save_pretrained(aside)))
