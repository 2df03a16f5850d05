# An update as one vector. Clipping, the sum and the noise go over all weights together, and a GPU takes as long to start
# sixty small steps as one large one.
from collections.abc import Mapping

import torch
from pfl.stats import MappedVectorStatistics

UPDATE = "update"


class Flat:
    """Where each weight lies in the vector."""

    def __init__(self, trained: Mapping[str, torch.Tensor]):
        self.shapes = {name: weight.shape for name, weight in trained.items()}
        self.size = sum(shape.numel() for shape in self.shapes.values())

    def join(self, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat([weights[name].detach().reshape(-1) for name in self.shapes])

    def split(self, vectors: torch.Tensor) -> dict[str, torch.Tensor]:
        """Views into one vector, or into a stack of them."""
        parts = vectors.split([shape.numel() for shape in self.shapes.values()], dim=-1)
        return {name: part.unflatten(-1, shape) for (name, shape), part in zip(self.shapes.items(), parts)}

    def statistics(self, update: torch.Tensor) -> MappedVectorStatistics:
        return MappedVectorStatistics({UPDATE: update})
