# How well a model does on texts that it did not learn from, by the measure of the job `evaluate-model`: next tokens of the
# texts themselves, mean over tokens.
from dataclasses import dataclass

import numpy as np
import torch
from pfl.internal.ops.selector import get_default_framework_module as get_ops

from ..channel import Channel
from ..checkpoints import Checkpoints
from ..evaluate_model import Sequence, sequences_of, told_over
from ..failure import Failure
from .clients import Row
from .language_model import LanguageModel


@dataclass(frozen=True)
class Score:
    loss: float
    accuracy: float
    tokens: int


class Validation:
    def __init__(self, tokenizer, rows: list[Row], length: int, what: str = "validation clients"):
        told = [{"client": 0, "text": row.text} for row in rows]
        self._sequences: list[Sequence] = sequences_of(tokenizer, told, length)[0]
        if not self._sequences:
            raise Failure("data", f"expected texts of the {what} with two tokens or more, got none")
        self.tokens = sum(sum(s.counted) for s in self._sequences)

    def score(self, model: LanguageModel, device: torch.device) -> Score:
        return Score(**told_over(model.network, self._sequences, device))


class Looks:
    """The looks at the validation clients during a run, and the model of the best one where that is kept."""

    def __init__(self, validation: Validation, keep: str, channel: Channel, stage: str):
        self.validation, self.keep = validation, keep
        self.history: list[dict] = []
        self._channel, self._stage = channel, stage

    def look(self, index: int, model: LanguageModel, device: torch.device, checkpoints: Checkpoints) -> None:
        # Every process holds the same model; the first one's figures are what counts.
        score, distributed = self.validation.score(model, device), get_ops().distributed
        loss, accuracy = score.loss, score.accuracy
        if distributed.world_size > 1:
            figures = torch.tensor([loss, accuracy] if distributed.global_rank == 0 else [0.0, 0.0], device=device)
            loss, accuracy = distributed.all_reduce([figures])[0].tolist()
        best = min((h["loss"] for h in self.history), default=None)
        self.history.append({"round": index, "loss": loss, "accuracy": accuracy})
        self._channel.metric(self._stage, "validationLoss", loss, step=index)
        if self.keep == "best" and (best is None or loss < best) and distributed.global_rank == 0:
            checkpoints.save_best(model, 0)

    def kept(self, model: LanguageModel, checkpoints: Checkpoints) -> dict:
        """Puts the weights that are kept into the model; what was measured on them."""
        if self.keep == "last":
            return self.history[-1]
        checkpoints.restore_best(model, 0)
        return min(self.history, key=lambda h: h["loss"])

    def told(self, kept: dict) -> dict:
        return {"loss": kept["loss"], "accuracy": kept["accuracy"], "tokens": self.validation.tokens}
