# One step of the optimiser on one batch. The batch is the same whatever the memory: it goes through the model in micro
# batches whose losses are sums over tokens, divided once by the tokens of the whole batch over all processes. When memory
# runs out the micro batch halves and the step is done again from its beginning.
import gc
import re
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .failure import Failure

Forward = Callable[[torch.Tensor], torch.Tensor]

_FULL = re.compile(r"out of memory|can't allocate memory|not enough memory", re.IGNORECASE)


def memory_ran_out(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and bool(_FULL.search(str(error))))


def padded(sequences: list[np.ndarray], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, labels); padding is at the end, where causal attention never looks, and has no label."""
    longest = max(len(s) for s in sequences)
    ids = np.zeros((len(sequences), longest), dtype=np.int64)
    labels = np.full((len(sequences), longest), -100, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        labels[row, 1 : len(sequence)] = sequence[1:]
    return torch.from_numpy(ids).to(device), torch.from_numpy(labels).to(device)


def loss_sum(forward: Forward, sequences: list[np.ndarray], device: torch.device) -> torch.Tensor:
    """Sum of the cross-entropies of every next token."""
    ids, labels = padded(sequences, device)
    logits = forward(ids)[:, :-1].float()
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1), ignore_index=-100, reduction="sum")


def predicted_tokens(sequences: list[np.ndarray]) -> int:
    return sum(len(s) - 1 for s in sequences)


class Stepper:
    """Holds the micro batch, which only shrinks."""

    def __init__(
        self,
        model: nn.Module,
        forward: Forward,
        device: torch.device,
        micro: int,
        any_process: Callable[[bool], bool],
        sum_gradients: Callable[[list[torch.Tensor]], None],
        warn: Callable[[str], None],
    ):
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self._forward = forward
        self._device = device
        self.micro = micro
        self._any_process = any_process
        self._sum_gradients = sum_gradients
        self._warn = warn

    def gradients(self, share: list[np.ndarray], tokens: int) -> torch.Tensor:
        """Fills the gradients with those of the mean loss of the whole batch; `share` is this process's part of it and
        `tokens` what the whole batch predicts. Returns this process's part of the mean loss."""
        while True:
            total = self._attempt(sorted(share, key=len), tokens)
            if not self._any_process(total is None):
                assert total is not None
                self._sum_gradients([p.grad for p in self._trained if p.grad is not None])
                return total
            self._halve()

    def _attempt(self, share: list[np.ndarray], tokens: int) -> torch.Tensor | None:
        for parameter in self._trained:
            # Every process has a gradient for every weight, also where it has no sequence.
            parameter.grad = None if share else torch.zeros_like(parameter)
        total = torch.zeros((), device=self._device)
        try:
            for start in range(0, len(share), self.micro):
                loss = loss_sum(self._forward, share[start : start + self.micro], self._device) / tokens
                loss.backward()
                total += loss.detach()
            return total
        except RuntimeError as error:
            if not memory_ran_out(error):
                raise
        # Outside of `except`: the error holds the tensors that filled the memory.
        return None

    def _halve(self) -> None:
        for parameter in self._trained:
            parameter.grad = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self.micro == 1:
            raise Failure(
                "config",
                "memory ran out with one sequence at a time",
                "use a smaller model, shorter sequences (--sequence-tokens), or LoRA with --quantise nf4",
            )
        before, self.micro = self.micro, self.micro // 2
        self._warn(
            f"memory ran out with {before} sequences at once: going on with {self.micro}; the batch of one step stays the same"
        )
