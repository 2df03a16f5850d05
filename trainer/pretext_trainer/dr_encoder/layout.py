# Phi: the flat vector of all LoRA factors <-> an image 1 x H x W for the auto-encoder, in one fixed order. Grouped-query
# attention makes the B factors of k and v narrower than the others, so factors are packed one after the other, not tiled.
import math
from dataclasses import dataclass

import torch

SIDE = 64
SMALLEST = 128


@dataclass(frozen=True)
class Layout:
    """`spans` are the places of the single tensors: (name, start, end)."""

    spans: tuple[tuple[str, int, int], ...]
    height: int
    width: int

    @property
    def numel(self) -> int:
        return self.spans[-1][2]

    def image(self, flat: torch.Tensor) -> torch.Tensor:
        """The vector as 1 x H x W; zeros behind its end."""
        room = flat.new_zeros(self.height * self.width)
        room[: self.numel] = flat
        return room.view(1, self.height, self.width)

    def flat(self, image: torch.Tensor) -> torch.Tensor:
        return image.reshape(-1)[: self.numel].clone()

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """One value for each tensor, repeated over its entries."""
        sizes = torch.tensor([end - start for _, start, end in self.spans], device=values.device)
        return torch.repeat_interleave(values, sizes)


def layout_of(parameters: dict[str, torch.Tensor], hidden: int) -> Layout:
    """Sides are multiples of 64 and at least 128: six halvings must leave an even share (reflect padding needs two)."""
    spans, start = [], 0
    for name, tensor in parameters.items():
        spans.append((name, start, start + tensor.numel()))
        start += tensor.numel()
    height = max(SMALLEST, SIDE * math.ceil(hidden / SIDE))
    width = max(SMALLEST, SIDE * math.ceil(start / height / SIDE))
    return Layout(tuple(spans), height, width)
