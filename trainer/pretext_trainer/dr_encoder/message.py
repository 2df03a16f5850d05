# What one client's contribution is held to and what hides it: an L2 clip of the whole vector, Gaussian noise, and the records
# of both that the accountant is told. The noise is drawn by PyTorch from a seed: good for simulations, not for a release.
import math

import torch


class Clip:
    """Holds vectors to an L2 norm and remembers what it did; a bound of None lets everything pass."""

    def __init__(self, bound: float | None):
        self.bound = bound
        self.largest = 0.0
        self.vectors = 0
        self.clipped = 0

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        norm = float(torch.linalg.vector_norm(vector.double()))
        self.vectors += 1
        if self.bound is not None and not math.isfinite(norm):
            # NaN is no greater than any bound: it would pass, and the sum would tell who was in it. It counts as nothing.
            self.clipped += 1
            return torch.zeros_like(vector)
        if self.bound is not None and norm > self.bound:
            self.clipped += 1
            vector = vector * (self.bound / norm)
            norm = float(torch.linalg.vector_norm(vector.double()))
        self.largest = max(self.largest, norm)
        return vector

    def share(self) -> float:
        return self.clipped / max(1, self.vectors)


class Noise:
    """Adds Gaussian noise of one standard deviation to each coordinate and counts its releases."""

    def __init__(self, std: float, seed: int):
        self.std = std
        self.releases = 0
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, vector: torch.Tensor, share: float = 1.0, release: bool = True) -> torch.Tensor:
        """`share` of the noise: what one of several clients adds, whose shares make up one release."""
        self.releases += release
        if self.std == 0:
            return vector
        drawn = torch.randn(vector.shape, generator=self._generator, dtype=torch.float32)
        return vector + (self.std * share) * drawn.to(vector.device)

    def state(self) -> torch.Tensor:
        return self._generator.get_state()

    def restore(self, state: torch.Tensor, releases: int) -> None:
        self._generator.set_state(state)
        self.releases = releases


def mechanism(
    *,
    noise: Noise,
    clip: Clip,
    releases: int,
    cohort: float,
    clients: int,
    sampling: str,
    participations: int,
    drawn: list[int] | None = None,
    note: str,
) -> dict:
    """The entry of the accountant, read from the objects that were used."""
    return {
        "sigma": noise.std,
        "clip": clip.bound,
        "releases": releases,
        "cohort": cohort,
        "clients": clients,
        "sampling": sampling,
        "contributions": "signed",
        "maxParticipations": participations,
        **({} if drawn is None else {"drawn": drawn}),
        "note": note,
    }
