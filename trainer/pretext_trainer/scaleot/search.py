# Dynamic LayerReplace: harmonizers learn by gradient inside random mixtures, and importance scores by comparing mixtures on
# held-out public texts. It sees public texts alone: what it learned is in every emulator that leaves the house.
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from ..dr_encoder.kept import Kept
from ..step import loss_sum, predicted_tokens
from .emulator import layers_of
from .harmonizer import Harmonizer
from .masks import sample, scored

HELD_OUT = 0.2


class Mixture:
    """The whole model with the layers that a mask lets go exchanged for their harmonizers, and put back."""

    def __init__(self, model: nn.Module, width: int, device: torch.device):
        self.model = model
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        self.layers = list(layers_of(model))
        hidden = model.config.hidden_size
        self.harmonizers = nn.ModuleList(Harmonizer(hidden, width) for _ in self.layers).to(device)
        self._device = device

    def loss(self, kept: torch.Tensor, batch: list[np.ndarray]) -> torch.Tensor:
        places = layers_of(self.model)
        try:
            for place, stays in enumerate(kept.tolist()):
                places[place] = self.layers[place] if stays else self.harmonizers[place]
            total = loss_sum(lambda ids: self.model(input_ids=ids, use_cache=False).logits, batch, self._device)
            return total / predicted_tokens(batch)
        finally:
            for place, layer in enumerate(self.layers):
                places[place] = layer


class Search:
    """`scores` is importance; a step follows from the seed and its number, so that a stopped search goes on alike."""

    def __init__(self, mixture: Mixture, plan: dict, seed: int):
        self.mixture, self.plan, self.seed = mixture, plan, seed
        self.scores = torch.zeros(len(mixture.layers), dtype=torch.float64)
        self.optimiser = torch.optim.AdamW(mixture.harmonizers.parameters(), lr=plan["learningRate"])
        self.done = 0
        self.recent: list[float] = []

    def step(self, train: list[np.ndarray], held_out: list[np.ndarray]) -> None:
        random = np.random.default_rng([self.seed, 21, self.done])
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        self.mixture.model.train()
        mask = sample(self.scores, self.plan["group"], generator)
        loss = self.mixture.loss(mask, _batch(train, self.plan["batch"], random))
        # Harmonizers that are not in this mixture have no gradient, and AdamW leaves them as they are.
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.recent = [*self.recent[-19:], float(loss.detach())]
        self.mixture.model.eval()
        with torch.no_grad():
            batch = _batch(held_out, self.plan["batch"], random)
            masks = [sample(self.scores, self.plan["group"], generator) for _ in range(self.plan["candidates"])]
            losses = [float(self.mixture.loss(m, batch)) for m in masks]
        self.scores = scored(self.scores, masks, losses, self.plan["scoreRate"], self.plan["reward"])
        self.done += 1


def run_search(
    search: Search, sequences: list[np.ndarray], kept: Kept, stop: Callable[[], bool], told: Callable[[int, float], None]
) -> bool:
    """True when it is done; False when it was asked to stop, and is saved."""
    order = np.random.default_rng([search.seed, 20]).permutation(len(sequences))
    cut = max(1, round(HELD_OUT * len(sequences)))
    held_out, train = [sequences[i] for i in order[:cut]], [sequences[i] for i in order[cut:]]
    _load(search, kept)
    while search.done < search.plan["steps"]:
        search.step(train, held_out)
        told(search.done, sum(search.recent) / len(search.recent))
        last, wanted = search.done == search.plan["steps"], stop()
        if last or wanted or search.done % search.plan["checkpointSteps"] == 0:
            _save(search, kept)
        if wanted and not last:
            return False
    return True


def _batch(sequences: list[np.ndarray], size: int, random: np.random.Generator) -> list[np.ndarray]:
    return [sequences[i] for i in random.integers(len(sequences), size=min(size, len(sequences)))]


def _save(search: Search, kept: Kept) -> None:
    tensors = {f"h.{k}": v for k, v in search.mixture.harmonizers.state_dict().items()}
    tensors["scores"] = search.scores
    for index, state in search.optimiser.state_dict()["state"].items():
        tensors |= {f"o.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    kept.save("search", tensors, {"done": search.done, "recent": search.recent})


def _load(search: Search, kept: Kept) -> None:
    found = kept.load("search")
    if found is None:
        return
    tensors, record = found
    search.mixture.harmonizers.load_state_dict({k[2:]: v for k, v in tensors.items() if k.startswith("h.")})
    search.scores = tensors["scores"]
    state: dict[int, dict] = {}
    for name, value in tensors.items():
        if name.startswith("o."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    whole = search.optimiser.state_dict()
    search.optimiser.load_state_dict({**whole, "state": state})
    search.done, search.recent = record["done"], record["recent"]
