# The data owner's side: training of what an emulator lets be trained. One owner holds all texts, or each client is an owner
# and the changes are averaged, clipped and noised where DP is asked for (DP-FedAvg on the adapters).
import statistics
from dataclasses import dataclass, replace

import torch
from torch import nn

from ..dr_encoder.clients import Client, Plan, cohort, fixed_size, flat_of, put, somebody, train_locally
from ..dr_encoder.message import Clip, Noise, mechanism
from ..dr_encoder.meters import Meters, size_of


@dataclass
class Tuning:
    """How the data owners tune."""

    plan: Plan
    owners: str
    rounds: int
    sampling: str
    rate: float
    server_rate: float
    noise_multiplier: float
    clip: float | str | None
    seed: int
    device: torch.device

    def private(self, private: bool) -> "Tuning":
        return self if private else replace(self, noise_multiplier=0.0, clip="none")


def adapters_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {n: p for n, p in model.named_parameters() if p.requires_grad}


def update(model: nn.Module, client: Client, tuning: Tuning, state: torch.Tensor, place: list[int]) -> tuple[int, torch.Tensor]:
    trained = list(adapters_of(model).values())
    put(trained, state)
    through = train_locally(model, client.sequences, tuning.plan, tuning.device, place)
    return through, flat_of(trained) - state


def bound_of(model: nn.Module, public: list[Client], tuning: Tuning) -> float | None:
    """The clip: as given, or the median norm of changes on public texts."""
    if tuning.clip == "none":
        return None
    if tuning.clip is not None:
        return float(tuning.clip)
    state = flat_of(list(adapters_of(model).values()))
    norms = [
        float(torch.linalg.vector_norm(update(model, c, tuning, state, [tuning.seed, 31, i])[1])) for i, c in enumerate(public)
    ]
    put(list(adapters_of(model).values()), state)
    return statistics.median(norms)


class Tuner:
    """Tunes one emulator (or, as the upper bound, the whole model) to its end, round by round."""

    def __init__(
        self, model: nn.Module, clients: list[Client], public: list[Client], tuning: Tuning, noise_seed: int, meters: Meters
    ):
        self.model, self.clients, self.tuning, self.meters = model, clients, tuning, meters
        self.state = flat_of(list(adapters_of(model).values()))
        self.clip = Clip(bound_of(model, public, tuning) if tuning.owners == "each" else None)
        self.noise = Noise(tuning.noise_multiplier * (self.clip.bound or 0.0), noise_seed)
        self.drawn: list[int] = []
        self.taken = [0] * len(clients)
        self.done = 0
        self.rounds = 1 if tuning.owners == "one" else tuning.rounds
        # The whole emulator travels once, its adapters every round.
        self._whole = size_of(dict(model.named_parameters()))
        self._adapters = size_of(adapters_of(model))

    @property
    def expected(self) -> float:
        clients, rate = len(self.clients), self.tuning.rate
        return {"all": clients, "poisson": clients * rate, "fixed": fixed_size(clients, rate)}[self.tuning.sampling]

    def round(self) -> None:
        if self.tuning.owners == "one":
            self._one()
        else:
            self._each()
        self.done += 1
        self.meters.state["rounds"] += 1
        put(list(adapters_of(self.model).values()), self.state)

    def _one(self) -> None:
        tuning = self.tuning
        everything = Client("all", [s for c in self.clients for s in c.sequences])
        whole = replace(tuning, plan=replace(tuning.plan, epochs=tuning.plan.epochs * tuning.rounds))
        few = Client("few", everything.sequences[: tuning.plan.batch])
        self.meters.count(lambda: update(self.model, few, tuning, self.state, [tuning.seed, 2]))
        change = self.meters.client(lambda: update(self.model, everything, whole, self.state, [tuning.seed, 32]))
        self.meters.sent(self._whole, self._adapters)
        self.state = self.state + change

    def _each(self) -> None:
        tuning = self.tuning
        self.meters.count(lambda: update(self.model, somebody(self.clients), tuning, self.state, [tuning.seed, 2]))
        chosen = cohort(tuning.sampling, len(self.clients), tuning.rate, tuning.seed, self.done)
        self.drawn.append(len(chosen))
        total = torch.zeros_like(self.state)
        for place in chosen:

            def work(place=place) -> tuple[int, torch.Tensor]:
                through, change = update(
                    self.model, self.clients[place], tuning, self.state, [tuning.seed, 33, self.done, place]
                )
                return through, self.clip(change)

            total += self.meters.client(work)
            first = self.taken[place] == 0
            self.meters.sent(self._whole if first else self._adapters, self._adapters)
            self.taken[place] += 1
        self.state = self.state + tuning.server_rate * self.meters.server(lambda: self.noise(total) / self.expected)

    def mechanism(self) -> dict:
        """Without noise it says so: nothing hides a client then."""
        if self.tuning.owners == "one":
            return mechanism(
                noise=self.noise,
                clip=self.clip,
                releases=1,
                cohort=1,
                clients=len(self.clients),
                sampling="all",
                participations=1,
                note="the adapters as one owner of all texts tuned them: no bound and no noise",
            )
        return mechanism(
            noise=self.noise,
            clip=self.clip,
            releases=self.noise.releases,
            cohort=self.expected,
            clients=len(self.clients),
            sampling=self.tuning.sampling,
            participations=max(self.taken),
            drawn=self.drawn,
            note="sum of changes of the adapters",
        )

    def record(self) -> dict:
        return {
            "done": self.done,
            "drawn": self.drawn,
            "taken": self.taken,
            "releases": self.noise.releases,
            "clip": [self.clip.bound, self.clip.largest, self.clip.vectors, self.clip.clipped],
            "meters": self.meters.state,
            "flops": self.meters.flops_per_token,
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"state": self.state, "noise": self.noise.state()}

    def resume(self, tensors: dict[str, torch.Tensor], record: dict) -> None:
        self.state = tensors["state"].to(self.state)
        put(list(adapters_of(self.model).values()), self.state)
        self.done, self.drawn, self.taken = record["done"], record["drawn"], record["taken"]
        self.noise.restore(tensors["noise"], record["releases"])
        self.clip.bound, self.clip.largest, self.clip.vectors, self.clip.clipped = record["clip"]
        self.meters.state, self.meters.flops_per_token = dict(record["meters"]), record["flops"]
