# How well a model does on texts that it did not learn from, by the measure of the job `evaluate-model`: next tokens of the
# texts themselves, mean over tokens.
from dataclasses import dataclass

import numpy as np
import torch

from ..evaluate_model import Sequence, sequences_of, sums_of
from ..failure import Failure
from .clients import Row
from .language_model import LanguageModel

AT_ONCE = 32


@dataclass(frozen=True)
class Score:
    loss: float
    accuracy: float
    tokens: int

    def told(self) -> dict:
        return {"loss": self.loss, "accuracy": self.accuracy, "tokens": self.tokens}


class Validation:
    def __init__(self, tokenizer, rows: list[Row], length: int, what: str = "validation clients"):
        told = [{"client": 0, "text": row.text} for row in rows]
        self._sequences: list[Sequence] = sequences_of(tokenizer, told, length)[0]
        if not self._sequences:
            raise Failure("data", f"expected texts of the {what} with two tokens or more, got none")
        self._sequences.sort(key=lambda s: len(s.ids))
        self.tokens = sum(sum(s.counted) for s in self._sequences)

    def score(self, model: LanguageModel, device: torch.device) -> Score:
        was_training = model.training
        model.eval()
        with torch.inference_mode():
            sums = sum(
                sums_of(model.network, self._sequences[i : i + AT_ONCE], device).sum(axis=0)
                for i in range(0, len(self._sequences), AT_ONCE)
            )
        model.train(was_training)
        tokens, loss, right = np.asarray(sums)[:3]
        return Score(float(loss / tokens), float(right / tokens), int(tokens))
