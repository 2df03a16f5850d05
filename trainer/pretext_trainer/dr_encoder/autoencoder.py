# The auto-encoder of the CG-FedLLM family (2405.13746), re-derived: six stride-2 convolutions 1 -> 64 channels, residual
# blocks, six transposed ones back; the latent has exactly 1/64 of the entries. Trained on synthetic images alone, and in
# evaluation mode ever after: its batch norms hold no statistics of clients.
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

STEPS = 6


def _block(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(
            _block(nn.Conv2d(channels, channels, 3, padding=1), channels),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class Encoder(nn.Sequential):
    def __init__(self) -> None:
        parts: list[nn.Module] = [_block(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), 1)]
        for step in range(STEPS):
            parts.append(_block(nn.Conv2d(2**step, 2 ** (step + 1), 3, stride=2, padding=1), 2 ** (step + 1)))
        parts += [Residual(2**STEPS) for _ in range(3)]
        super().__init__(*parts)


class Decoder(nn.Sequential):
    def __init__(self) -> None:
        parts: list[nn.Module] = [Residual(2**STEPS) for _ in range(3)]
        for step in reversed(range(STEPS)):
            up = nn.ConvTranspose2d(2 ** (step + 1), 2**step, 3, stride=2, padding=1, output_padding=1)
            parts.append(_block(up, 2**step))
        # The paper ends in Tanh: images are standardised to lie well within -1 and 1 (codec.py).
        parts += [nn.Conv2d(1, 1, 7, padding=3, padding_mode="reflect"), nn.Tanh()]
        super().__init__(*parts)


def train(
    encoder: nn.Module,
    decoder: nn.Module,
    draw: Callable[[int], torch.Tensor],
    *,
    steps: int,
    batch: int,
    learning_rate: float,
    told: Callable[[int, float], None],
) -> float:
    """min ||Dec(Enc(X)) - X||^2 over drawn images; the mean squared error relative to the images' own at the end."""
    weights = [*encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.Adam(weights, lr=learning_rate)
    encoder.train()
    decoder.train()
    recent: list[float] = []
    for step in range(steps):
        images = draw(batch)
        loss = F.mse_loss(decoder(encoder(images)), images)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        recent = [*recent[-19:], float(loss.detach() / images.square().mean())]
        told(step + 1, recent[-1])
    encoder.eval()
    decoder.eval()
    return sum(recent) / max(1, len(recent))
