# What the two stages share: the job, the clients, the model, what was measured so far, and what a stopped run goes on from.
from dataclasses import dataclass, field

import torch

from ..channel import Channel
from ..stop import stop_wanted, stopped
from .clients import Client, fixed_size
from .federation import Federation
from .kept import Kept
from .meters import Meters

# Codecs that are made from the prior.
FITTED = {"autoencoder", "pca", "prior-mean"}


@dataclass
class Simulation:
    job: dict
    channel: Channel
    fed: Federation
    kept: Kept
    clients: list[Client]
    meters: Meters = field(default_factory=Meters)
    mechanisms: list[dict] = field(default_factory=list)

    @property
    def seed(self) -> int:
        return self.job["seed"]

    @property
    def reads_statistics(self) -> bool:
        """Stage 1 asks the clients."""
        return self.job["codec"] in FITTED and self.job["statistics"]["source"] == "clients"

    @property
    def expected(self) -> float:
        """Clients of a round: the number that the server divides by, which is no secret."""
        clients, rate = len(self.clients), self.job["rate"]
        return {"all": clients, "poisson": clients * rate, "fixed": fixed_size(clients, rate)}[self.job["sampling"]]

    def state(self) -> dict[str, torch.Tensor]:
        """What a client is sent: the LoRA factors."""
        return {name: self.fed.state[start:end] for name, start, end in self.fed.layout.spans}

    def record(self) -> dict:
        return {"meters": self.meters.state, "flops": self.meters.flops_per_token, "mechanisms": self.mechanisms}

    def resume(self, record: dict) -> None:
        self.meters.state, self.meters.flops_per_token = dict(record["meters"]), record["flops"]
        self.mechanisms = list(record["mechanisms"])

    def stop_if_wanted(self) -> None:
        if stop_wanted():
            raise stopped()
