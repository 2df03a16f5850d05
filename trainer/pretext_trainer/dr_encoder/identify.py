# An attack on single messages: the server knows the model and a pool of texts, one client's among them, computes the message
# that each would have given, and picks the nearest. It stands for gradient inversion, with the search made easy for the
# attacker; chance is 1 / pool. "Noised" is one message with the noise of a whole release, which is what differencing with
# all other clients known would leave.
import torch

from .gates import cosine
from .message import Clip, Noise
from .uplink import Uplink


def identified(uplink: Uplink, victims: list[torch.Tensor], guesses: list[torch.Tensor]) -> dict:
    """`victims` and `guesses` are updates of the same clients, each trained in an order of its own."""
    codec, bound, std = uplink.codec, uplink.clip.bound, uplink.noise.std

    def message(update: torch.Tensor, noise: Noise) -> torch.Tensor:
        if uplink.pre:
            return codec.encode(noise(Clip(bound)(update)))
        return noise(Clip(bound)(codec.encode(update)))

    known = [message(g, Noise(0.0, 0)) for g in guesses]

    def share(noise: Noise) -> float | None:
        if codec.latent == 0:
            # Nothing is sent: there is nothing to pick by.
            return None
        right = 0
        for place, victim in enumerate(victims):
            seen = message(victim, noise)
            scores = [cosine(seen, k) for k in known]
            right += scores.index(max(scores)) == place
        return right / len(victims)

    return {
        "pool": len(victims),
        "chance": 1 / len(victims),
        "identified": share(Noise(0.0, 0)),
        "identifiedNoised": share(Noise(std, 99)) if std > 0 else None,
    }
