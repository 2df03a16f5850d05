# The model with its LoRA factors, and what clients do with it: from a state of the factors to an increment.
from pathlib import Path

import numpy as np
import torch

from ..failure import Failure
from ..start import checkpoint
from .clients import Plan, flat_of, put, train_locally
from .layout import Layout, layout_of

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj"]


class Federation:
    def __init__(self, job: dict, device: torch.device):
        from peft import LoraConfig, get_peft_model

        begun = checkpoint({"from": "folder", "model": job["start"], "revision": None}, torch.float32)
        self.tokenizer = begun.tokenizer
        self.device = device
        torch.manual_seed(job["seed"])
        lora = job["lora"]
        config = LoraConfig(
            r=lora["rank"], lora_alpha=lora["alpha"], lora_dropout=lora["dropout"], target_modules=TARGETS, task_type="CAUSAL_LM"
        )
        try:
            self.model = get_peft_model(begun.model, config).to(device)
        except ValueError as error:
            raise Failure(
                "config",
                f"{job['start']}: expected a Llama-like model with {', '.join(TARGETS)}, got {begun.model.config.model_type}",
            ) from error
        named = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self.trained = list(named.values())
        self.layout: Layout = layout_of(named, begun.model.config.hidden_size)
        self.state = flat_of(self.trained)
        self.plan = Plan(**job["local"])

    def update(self, sequences: list[np.ndarray], place: list[int], state: torch.Tensor | None = None) -> tuple[int, torch.Tensor]:
        """(tokens sent through, state of the factors after local training minus the one before)."""
        begin = self.state if state is None else state
        put(self.trained, begin)
        through = train_locally(self.model, sequences, self.plan, self.device, place)
        return through, flat_of(self.trained) - begin

    def increments(self, sequences: list[np.ndarray], epochs: int, place: list[int]) -> tuple[int, list[torch.Tensor]]:
        """The same, each local epoch for itself: what stage 1 takes statistics of."""
        plan = Plan(1, self.plan.batch, self.plan.learningRate, self.plan.clipNorm)
        put(self.trained, self.state)
        through, before, told = 0, self.state, []
        for epoch in range(epochs):
            through += train_locally(self.model, sequences, plan, self.device, [*place, epoch])
            after = flat_of(self.trained)
            told.append(after - before)
            before = after
        return through, told

    def write(self, folder: Path) -> str:
        """The merged model, which the job `evaluate-model` reads. Merging ends the federation."""
        put(self.trained, self.state)
        whole = self.model.merge_and_unload()
        whole.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        return str(folder)
