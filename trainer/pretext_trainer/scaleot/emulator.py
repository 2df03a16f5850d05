# What the data owner gets: adapter layers as they are, harmonizers (or nothing) in the place of others, and the rest frozen
# with attention of lower rank. Modules are exchanged in place, so that indices, rotary positions and masks stay what they were.
import copy
import math
from dataclasses import dataclass

import torch
from torch import nn

from ..failure import Failure
from .harmonizer import Passing
from .rank import compress


@dataclass(frozen=True)
class Emulator:
    model: nn.Module
    adapters: tuple[int, ...]
    replaced: tuple[int, ...]
    # Of the attention of the frozen layers that stay; none where nothing is compressed.
    ranks: tuple[int, ...]


def layers_of(model: nn.Module) -> nn.ModuleList:
    return model.model.layers


def adapter_places(layers: int, count: int, place: str, scores: torch.Tensor) -> tuple[int, ...]:
    """Half at each end, or the most important ones."""
    if count >= layers:
        raise Failure("config", f"expected fewer adapter layers than the model's {layers}, got {count}")
    if place == "importance":
        return tuple(sorted(torch.argsort(scores, descending=True, stable=True)[:count].tolist()))
    first = math.ceil(count / 2)
    return (*range(first), *range(layers - (count - first), layers))


def replaced_places(scores: torch.Tensor, adapters: tuple[int, ...], alpha: float) -> tuple[int, ...]:
    """Of the layers that are no adapters, the share alpha with the lowest importance."""
    middle = [i for i in range(len(scores)) if i not in adapters]
    order = sorted(middle, key=lambda i: (float(scores[i]), i))
    return tuple(sorted(order[: math.floor(alpha * len(middle))]))


def dropped_places(layers: int, adapters: tuple[int, ...], alpha: float) -> tuple[int, ...]:
    """Offsite tuning's uniform drop: of M middle layers those at round(i (M - 1) / (S - 1)) stay."""
    middle = [i for i in range(layers) if i not in adapters]
    stay = len(middle) - math.floor(alpha * len(middle))
    if stay <= 1:
        kept = {middle[0]} if stay == 1 else set()
    else:
        kept = {middle[round(i * (len(middle) - 1) / (stay - 1))] for i in range(stay)}
    return tuple(i for i in middle if i not in kept)


def build(
    full: nn.Module,
    harmonizers: nn.ModuleList,
    scores: torch.Tensor,
    adapters: tuple[int, ...],
    *,
    method: str,
    alpha: float,
    beta: float,
) -> Emulator:
    model = copy.deepcopy(full)
    layers = layers_of(model)
    replaced = replaced_places(scores, adapters, alpha) if method == "replace" else dropped_places(len(layers), adapters, alpha)
    for place in replaced:
        layers[place] = copy.deepcopy(harmonizers[place]) if method == "replace" else Passing()
    ranks = set()
    for place, layer in enumerate(layers):
        if place not in adapters and place not in replaced:
            ranks.update(compress(layer, beta))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for place in adapters:
        for parameter in layers[place].parameters():
            parameter.requires_grad_(True)
    return Emulator(model, adapters, replaced, tuple(sorted(ranks)))


@torch.no_grad()
def plug_back(full: nn.Module, emulator: Emulator) -> nn.Module:
    """A copy of the whole model with the emulator's adapter layers at the same places."""
    model = copy.deepcopy(full)
    for place in emulator.adapters:
        layers_of(model)[place].load_state_dict(layers_of(emulator.model)[place].state_dict())
    return model


