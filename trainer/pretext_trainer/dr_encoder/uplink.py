# The way of an update from a client to the model: clip, noise and code in one of the orders that are private, then the
# server's mean and the decoder. The paper leaves the order open, so both are here.
#
#   post_encode, central   z = clip(Enc(g));             Dec((sum z + noise) / K)           the accountant sees the latent's clip
#   post_encode, local     z = clip(Enc(g)) + noise;     Dec(mean z), or the mean of Dec(z)
#   pre_encode,  local     z = Enc(clip(g) + noise);     the same                           private by post-processing
#   pre_encode,  central   z = Enc(clip(g) + noise / sqrt K): the shares add up only if Enc is linear; refused where it is not
#
# Enc may stretch, so that a clip of g bounds nothing about Enc(g): what is clipped is what is noised.
import math

import torch

from ..failure import Failure
from .codec import Codec
from .message import Clip, Noise


def check_orders(job: dict, linear: bool) -> None:
    noisy = job["noiseMultiplier"] > 0
    if noisy and job["noiseBy"] == "central" and job["noise"] == "pre_encode" and not linear:
        raise Failure(
            "config",
            "noise before a code that is not linear hides a client only if each client adds all of it: "
            "the sum of such codes is no function of the noised sum",
            "use noiseBy local, or noise post_encode",
        )
    if noisy and job["noiseBy"] == "central" and job["noise"] == "pre_encode" and job["sampling"] == "poisson":
        raise Failure(
            "config",
            "shares of one noise need a cohort whose size is known, and with Poisson sampling it is a secret",
            "use sampling all or fixed, or noise post_encode",
        )
    if noisy and job["noiseBy"] == "central" and job["decode"] == "per_client":
        raise Failure(
            "config",
            "decode per_client needs each client's own message, and central noise is added to the sum alone",
            "use decode after_mean, or noiseBy local",
        )


class Uplink:
    def __init__(self, codec: Codec, clip: Clip, noise: Noise, *, order: str, by: str, decode: str, expected: float):
        self.codec, self.clip, self.noise = codec, clip, noise
        self.pre, self._local, self._per_client = order == "pre_encode", by == "local", decode == "per_client"
        self._expected = expected
        self._sum: torch.Tensor | None = None
        self._decoded: torch.Tensor | None = None

    def message(self, update: torch.Tensor, cohort: int) -> torch.Tensor:
        """What the client sends."""
        if self.pre:
            held = self.clip(update)
            share = 1.0 if self._local else 1 / math.sqrt(cohort)
            # Local: each message is a release of its own. Central: the shares of a cohort are one, counted by the server.
            return self.codec.encode(self.noise(held, share, release=self._local))
        held = self.clip(self.codec.encode(update))
        return self.noise(held) if self._local else held

    def receive(self, message: torch.Tensor) -> None:
        self._sum = message.clone() if self._sum is None else self._sum + message
        if self._per_client:
            back = self.codec.decode(message)
            self._decoded = back if self._decoded is None else self._decoded + back

    def step(self, device: torch.device) -> torch.Tensor:
        """The decoded mean, which is the server's update; begins the next round. An empty cohort is noised like any."""
        total = self._sum
        decoded, self._sum, self._decoded = self._decoded, None, None
        if total is None:
            total = torch.zeros(self.codec.latent, device=device)
        if not self._local:
            if self.pre:
                self.noise.releases += 1
            else:
                total = self.noise(total)
        if self._per_client and decoded is not None:
            return decoded / self._expected
        return self.codec.decode(total / self._expected)
