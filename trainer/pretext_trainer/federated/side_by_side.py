# Clients of one round trained at once, each with weights of its own: torch.func.vmap over what pfl does for one client after
# the other (do_multiple_epochs_of, then clip_norm_and_update). A step of a small model keeps a GPU busy for a fraction of the
# time that it takes to start the step, which is then paid once for all of them. Everything else stays pfl's: who takes part,
# clipping, the sum, the noise.
from collections.abc import Callable

import torch
from pfl.data.dataset import Dataset
from pfl.hyperparam import NNTrainHyperParams
from torch import nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..step import memory_ran_out
from .cohorts import NO_LABEL
from .flat import Flat
from .language_model import LanguageModel

Batch = tuple[torch.Tensor, torch.Tensor]

# What takes 8 to 13 GB with texts of 64 tokens, so that several runs may share a GPU; and more than a GPU has use for.
AT_14M, MOST = 32, 256


def width_on(device: torch.device, weights: int) -> int:
    """Clients at once, to begin with. On a CPU one: its cores are busy with one client already."""
    return max(1, min(MOST, AT_14M * 14_000_000 // weights)) if device.type == "cuda" else 1


class SideBySide:
    """Holds the width, which only shrinks."""

    def __init__(self, model: LanguageModel, width: int, note: Callable[[str], None]):
        self.width = width
        self._trained = model.trained()
        self.flat = Flat(self._trained)
        self._loss = _Loss(model)
        self._note = note

    def train(self, datasets: list[Dataset], params: NNTrainHyperParams) -> list[torch.Tensor] | None:
        """How much each client's training moves the weights, as a vector; none where that many do not fit (the width is less then)."""
        try:
            return self._train([_batches(d, params) for d in datasets], params)
        except RuntimeError as error:
            if memory_ran_out(error):
                self.width //= 2
                self._note(f"memory ran out with {len(datasets)} clients side by side: going on with {self.width}")
            else:
                # An operation without a rule for many at once, or a draw (dropout), which has a seed of each client's own.
                self.width = 1
                self._note(f"clients train one after the other, because this model cannot side by side: {str(error).splitlines()[0]}")
        # Outside of `except`: the error holds the tensors that filled the memory.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None

    def _train(self, batches: list[list[Batch]], params: NNTrainHyperParams) -> list[torch.Tensor]:
        # Those with most steps first: whoever still trains is then the front of every stack.
        order = sorted(range(len(batches)), key=lambda i: -len(batches[i]))
        start = self.flat.join(self._trained)
        all_weights = start.repeat(len(order), 1)
        weights = self.flat.split(all_weights)
        steps = [stacked([batches[i][s] for i in order if len(batches[i]) > s]) for s in range(len(batches[order[0]]))]
        # All before the first step: a copy to a GPU waits for the steps before it.
        for ids, labels in [(ids.to(start.device), labels.to(start.device)) for ids, labels in steps]:
            self._step({name: w[: len(ids)] for name, w in weights.items()}, ids, labels, params)
        all_weights.sub_(start)
        place = {client: row for row, client in enumerate(order)}
        return [all_weights[place[i]] for i in range(len(batches))]

    def _step(self, weights: dict[str, torch.Tensor], ids: torch.Tensor, labels: torch.Tensor, params: NNTrainHyperParams) -> None:
        leaves = {f"model.{name}": w.detach().requires_grad_() for name, w in weights.items()}
        # Fused attention has no rule for many at once that works everywhere; short texts do not need it.
        with sdpa_kernel(SDPBackend.MATH):
            losses = vmap(lambda own, *batch: functional_call(self._loss, own, batch), randomness="error")(leaves, ids, labels)
        # A client's loss depends on its own weights alone, and so does the gradient of the sum.
        gradients = torch.autograd.grad(losses.sum(), list(leaves.values()), materialize_grads=True)
        if params.local_max_grad_norm is not None:
            norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
            scales = (params.local_max_grad_norm / (norms + 1e-6)).clamp(max=1.0)
            gradients = [g * scales.view(-1, *[1] * (g.ndim - 1)) for g in gradients]
        for own, gradient in zip(weights.values(), gradients):
            own.add_(gradient, alpha=-params.local_learning_rate)


class _Loss(nn.Module):
    """The loss as a module's forward pass, which is what can be called with other weights."""

    def __init__(self, model: LanguageModel):
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return self.model.loss(ids, labels)


def _batches(dataset: Dataset, params: NNTrainHyperParams) -> list[Batch]:
    """The batches of all steps, as pfl makes them."""
    own = list(dataset.iter(params.local_batch_size))[: params.local_num_steps]
    return [(ids, labels) for _ in range(params.local_num_epochs or 1) for ids, labels in own]


def stacked(batches: list[Batch]) -> Batch:
    """(ids, labels) of a batch of each client. What fills the smaller ones up has no label: a client's loss is the mean over
    its own tokens."""
    shape = (len(batches), *(max(ids.shape[i] for ids, _ in batches) for i in (0, 1)))
    all_ids, all_labels = torch.zeros(shape, dtype=torch.long), torch.full(shape, NO_LABEL, dtype=torch.long)
    for row, (ids, labels) in enumerate(batches):
        texts, length = ids.shape
        all_ids[row, :texts, :length], all_labels[row, :texts, :length] = ids, labels
    return all_ids, all_labels
