# What an update becomes on its way: nothing (identity), 1/64 of its numbers (auto-encoder, PCA of patches, random orthonormal
# projection), or nothing at all (prior-mean, zero: controls that send no client's information).
import math

import torch

from .autoencoder import Decoder, Encoder
from .layout import SIDE, Layout
from .prior import Prior

# The code of a sum is the sum of the codes, exactly.
LINEAR = {"identity", "random-projection", "prior-mean", "zero"}
# Standard deviation of a standardised image: four of them stay below Tanh's 1.
SPREAD = 0.3
PATCH = 8


class Codec:
    """Flat update <-> flat latent."""

    def __init__(self, layout: Layout, latent: int):
        self.layout = layout
        self.latent = latent

    def encode(self, flat: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def sent(self) -> dict[str, torch.Tensor]:
        """What a client must hold to encode, beside the model."""
        return {}

    def weights(self) -> dict[str, torch.Tensor]:
        """What was learned: for a checkpoint."""
        return {}

    def load(self, weights: dict[str, torch.Tensor]) -> None:
        pass


class Identity(Codec):
    def __init__(self, layout: Layout):
        super().__init__(layout, layout.numel)

    def encode(self, flat: torch.Tensor) -> torch.Tensor:
        return flat

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        return latent


class RandomProjection(Codec):
    """Orthonormal rows: a secret-free shuffle with random signs, and of each 64 entries the sum divided by 8."""

    def __init__(self, layout: Layout, seed: int, device: torch.device):
        super().__init__(layout, math.ceil(layout.numel / SIDE))
        generator = torch.Generator().manual_seed(seed)
        self._seed = seed
        self._order = torch.randperm(self.latent * SIDE, generator=generator).to(device)
        self._signs = (torch.randint(0, 2, (self.latent * SIDE,), generator=generator) * 2 - 1).float().to(device)

    def encode(self, flat: torch.Tensor) -> torch.Tensor:
        room = flat.new_zeros(self.latent * SIDE)
        room[: flat.numel()] = flat
        return (room * self._signs)[self._order].view(-1, SIDE).sum(1) / math.sqrt(SIDE)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        room = latent.new_empty(self.latent * SIDE)
        room[self._order] = torch.repeat_interleave(latent / math.sqrt(SIDE), SIDE)
        return (room * self._signs)[: self.layout.numel]

    def sent(self) -> dict[str, torch.Tensor]:
        return {"seed": torch.tensor(self._seed)}


class Standardised(Codec):
    """Learned codecs see updates with the prior's mean and scale taken out, and send how far the code lies from that of the
    prior's mean: what every client sends alike would fill the clip and say nothing. Affine at best: a sum of such codes
    tells how many they are."""

    def __init__(self, layout: Layout, prior: Prior, device: torch.device):
        super().__init__(layout, layout.height * layout.width // SIDE)
        self._mean = layout.spread(prior.mean().to(device))
        self._scale = layout.spread(prior.scale().to(device)) / SPREAD
        self._prior = prior
        self.device = device

    def image(self, flat: torch.Tensor) -> torch.Tensor:
        return self.layout.image((flat - self._mean) / self._scale)

    def code(self, image: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def picture(self, code: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    @torch.no_grad()
    def encode(self, flat: torch.Tensor) -> torch.Tensor:
        return self.code(self.image(flat)) - self._origin()

    @torch.no_grad()
    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        return self.layout.flat(self.picture(latent + self._origin())) * self._scale + self._mean

    def _origin(self) -> torch.Tensor:
        return self.code(self._scale.new_zeros(1, self.layout.height, self.layout.width))

    def sent(self) -> dict[str, torch.Tensor]:
        return {"prior.mean": self._prior.mean(), "prior.scale": self._prior.scale()}


class AutoEncoder(Standardised):
    def __init__(self, layout: Layout, prior: Prior, seed: int, device: torch.device):
        super().__init__(layout, prior, device)
        torch.manual_seed(seed)
        self.encoder, self.decoder = Encoder().to(device).eval(), Decoder().to(device).eval()

    def code(self, image: torch.Tensor) -> torch.Tensor:
        return self.encoder(image[None]).reshape(-1)

    def picture(self, code: torch.Tensor) -> torch.Tensor:
        return self.decoder(code.view(1, 64, self.layout.height // SIDE, self.layout.width // SIDE))[0]

    def sent(self) -> dict[str, torch.Tensor]:
        return {**super().sent(), **_named("encoder", self.encoder)}

    def weights(self) -> dict[str, torch.Tensor]:
        return {**_named("encoder", self.encoder), **_named("decoder", self.decoder)}

    def load(self, weights: dict[str, torch.Tensor]) -> None:
        for name, module in (("encoder", self.encoder), ("decoder", self.decoder)):
            module.load_state_dict({k.removeprefix(f"{name}."): v for k, v in weights.items() if k.startswith(f"{name}.")})


class Pca(Standardised):
    """The best linear code of an 8x8 patch in one number: what the auto-encoder is measured against."""

    def __init__(self, layout: Layout, prior: Prior, device: torch.device):
        super().__init__(layout, prior, device)
        self.axis = torch.full((SIDE,), 1 / math.sqrt(SIDE), device=device)

    def fit(self, images: torch.Tensor) -> None:
        patches = self.patches(images).double()
        self.axis = torch.linalg.eigh(patches.T @ patches / len(patches))[1][:, -1].to(images)

    def patches(self, images: torch.Tensor) -> torch.Tensor:
        *_, height, width = images.shape
        cut = images.reshape(-1, height // PATCH, PATCH, width // PATCH, PATCH)
        return cut.permute(0, 1, 3, 2, 4).reshape(-1, SIDE)

    def code(self, image: torch.Tensor) -> torch.Tensor:
        return self.patches(image) @ self.axis

    def picture(self, code: torch.Tensor) -> torch.Tensor:
        height, width = self.layout.height, self.layout.width
        cut = (code[:, None] * self.axis).view(height // PATCH, width // PATCH, PATCH, PATCH)
        return cut.permute(0, 2, 1, 3).reshape(1, height, width)

    def sent(self) -> dict[str, torch.Tensor]:
        return {**super().sent(), "axis": self.axis}

    def weights(self) -> dict[str, torch.Tensor]:
        return {"axis": self.axis}

    def load(self, weights: dict[str, torch.Tensor]) -> None:
        self.axis = weights["axis"].to(self.axis)


class Nothing(Codec):
    """No client sends anything: every round applies the same update, the prior's mean or zero."""

    def __init__(self, layout: Layout, constant: torch.Tensor):
        super().__init__(layout, 0)
        self._constant = constant

    def encode(self, flat: torch.Tensor) -> torch.Tensor:
        return flat.new_zeros(0)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        return self._constant


def make(name: str, layout: Layout, prior: Prior | None, seed: int, device: torch.device) -> Codec:
    """A codec by its name; learned ones are still to be trained."""
    if name == "identity":
        return Identity(layout)
    if name == "random-projection":
        return RandomProjection(layout, seed * 7 + 1, device)
    if name == "zero":
        return Nothing(layout, torch.zeros(layout.numel, device=device))
    assert prior is not None
    if name == "prior-mean":
        return Nothing(layout, layout.spread(prior.mean().to(device)))
    return AutoEncoder(layout, prior, seed, device) if name == "autoencoder" else Pca(layout, prior, device)


def _named(name: str, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {f"{name}.{k}": v for k, v in module.state_dict().items()}
