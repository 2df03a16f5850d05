# Who takes part in which round. pfl draws users one by one with replacement, for which no amplification is known that an
# accountant could use; these draws are the ones that accountants know: every client, Poisson, a fixed number without
# replacement, and a cycle with a place for each client. A draw follows from the seed and the round alone, so any process and
# any resumed run makes the same one. (Seeded because this is a simulation: what amplifies privacy on real clients must be
# secret.)
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDatasetBase
from pfl.internal.ops.selector import get_default_framework_module as get_ops

from ..failure import Failure

# Ignored by the loss; also what fills a shorter text up.
NO_LABEL = -100


@dataclass(frozen=True)
class Schedule:
    """Draws the cohorts of a run."""

    sampling: str
    clients: int
    cohort: int
    rounds: int
    seed: int
    # Rounds of one cycle; none: as many as come nearest to the cohort.
    cycle: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.cohort <= self.clients:
            raise Failure("config", f"expected a cohort of 1 to {self.clients} clients, got {self.cohort}")

    @property
    def period(self) -> int:
        """Rounds of one cycle (1 where cohorts are drawn anew in every round)."""
        return (self.cycle or round(self.clients / self.cohort)) if self.sampling == "cycle" else 1

    @property
    def expected(self) -> float:
        """What a sum is divided by: a constant, because the real number of a Poisson draw is itself private."""
        return self.clients / self.period if self.sampling == "cycle" else self.cohort

    def draw(self, index: int) -> np.ndarray:
        """The clients of round `index` (from 0), ascending."""
        if self.sampling == "all":
            return np.arange(self.clients)
        random = np.random.default_rng([self.seed, 1, index])
        if self.sampling == "poisson":
            return np.flatnonzero(random.random(self.clients) < self.cohort / self.clients)
        if self.sampling == "fixed":
            return np.sort(random.choice(self.clients, self.cohort, replace=False))
        # Each client's place is a draw of its own: without that client the others take part in the same rounds, which is what the
        # accounting of added and removed clients says. Places dealt out of one order would move the others.
        places = np.random.default_rng([self.seed, 2]).integers(self.period, size=self.clients)
        return np.flatnonzero(places == index % self.period)

    def patterns(self) -> list[list[int]]:
        """Cycle: the rounds that a client may take part in, one list for each place in the cycle."""
        return [list(range(start, self.rounds, self.period)) for start in range(min(self.period, self.rounds))]


class Cohorts(FederatedDatasetBase):
    """Hands a round's clients to pfl: this process's share of them, and somebody without texts where it has none."""

    def __init__(self, schedule: Schedule, sequences: list[list[np.ndarray]], pad: int, start: int = 0):
        super().__init__()
        self.schedule = schedule
        self.round = start
        self.participations = np.zeros(schedule.clients, dtype=np.int64)
        self.drawn: list[int] = []
        self._dealt: list[int] = []
        self._sequences = sequences
        self._pad = pad

    def __next__(self):
        raise NotImplementedError("cohorts are drawn as a whole")

    def get_cohort(self, cohort_size: int) -> Iterator[tuple[Dataset, int]]:
        chosen = self.schedule.draw(self.round)
        self.participations[chosen] += 1
        self.drawn.append(len(chosen))
        rank, processes = get_ops().distributed.global_rank, get_ops().distributed.world_size
        # Clients with many texts first, dealt out in turn: every process has about as much to do.
        self._dealt = sorted(chosen, key=lambda c: (-len(self._sequences[c]), c))[rank::processes]
        for client in self._dealt or [None]:
            yield self._dataset(client), 0
        self.round += 1

    def from_client(self, client: int, count: int) -> list[Dataset]:
        """That client of this round and those that come behind it here, without those that have no texts."""
        place = self._dealt.index(client)
        return [self._dataset(c) for c in self._dealt[place : place + count] if self._sequences[c]]

    def _dataset(self, client: int | None) -> Dataset:
        own = [] if client is None else self._sequences[client]
        if own:
            order = np.random.default_rng([self.schedule.seed, 3, self.round, client]).permutation(len(own))
            own = [own[i] for i in order]
        longest = max((len(s) for s in own), default=0)
        ids = np.full((len(own), longest), self._pad, dtype=np.int64)
        labels = np.full((len(own), longest), NO_LABEL, dtype=np.int64)
        for row, sequence in enumerate(own):
            ids[row, : len(sequence)] = sequence
            labels[row, 1 : len(sequence)] = sequence[1:]
        # As tensors: pfl makes floats of arrays.
        return Dataset([torch.from_numpy(ids), torch.from_numpy(labels)], user_id=client, metadata={"round": self.round})
