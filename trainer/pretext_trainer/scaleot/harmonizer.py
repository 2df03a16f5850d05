# What stands in a layer's place: H(x) = x + U relu(D x), a low-rank feed-forward block around the identity.
import torch
from torch import nn


class Harmonizer(nn.Module):
    """Called as a decoder layer is. Exactly one of its two matrices begins at zero: it begins as the identity, and learns
    (with both at zero, ReLU gives neither a gradient). Their names are none that LoRA looks for."""

    def __init__(self, hidden: int, width: int):
        super().__init__()
        self.squeeze = nn.Linear(hidden, width)
        self.stretch = nn.Linear(width, hidden)
        nn.init.zeros_(self.stretch.weight)
        nn.init.zeros_(self.stretch.bias)

    def forward(self, hidden_states: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return hidden_states + self.stretch(torch.relu(self.squeeze(hidden_states)))


class Passing(nn.Module):
    """A layer that was dropped: the layers behind it keep their places."""

    def forward(self, hidden_states: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return hidden_states
