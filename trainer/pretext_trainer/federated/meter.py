# What an arm costs: bytes of the messages as they would be sent (safetensors), a client's CPU time, and floating-point
# operations counted by PyTorch on a real step of a real client. The same for every arm.
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median

import torch
from pfl.internal.ops.pytorch_ops import get_default_device
from pfl.internal.ops.selector import get_default_framework_module as get_ops
from safetensors.torch import save
from torch.utils.flop_counter import FlopCounterMode


# Clients of a process whose own time is measured before clients train side by side.
TIMED = 3


def message_bytes(weights: dict[str, torch.Tensor]) -> int:
    return len(save({name: value.detach().cpu().contiguous() for name, value in weights.items()}))


def flops_of(step: Callable[[], torch.Tensor]) -> int:
    """Operations of one forward and backward pass; `step` returns the loss."""
    with FlopCounterMode(display=False) as counter:
        step().backward()
    return counter.get_total_flops()


@dataclass
class Spent:
    """Sums over the run so far; a checkpoint holds them."""

    participations: int = 0
    client_cpu: float = 0.0
    client_seconds: float = 0.0
    server_cpu: float = 0.0
    flops: float = 0.0
    steps: int = 0
    timed: int = 0
    up: int = 0
    up_messages: int = 0
    down: int = 0
    down_messages: int = 0


class Meter:
    def __init__(self) -> None:
        self.spent = Spent()
        self.wants_message = False
        self._cpu = self._wall = 0.0
        # Process time that went into playing clients here, whatever a client alone would have spent.
        self.played = 0.0
        self._per_step: list[tuple[float, float]] = []

    @property
    def timed(self) -> int:
        return len(self._per_step)

    def client_begins(self) -> None:
        self._cpu, self._wall = time.process_time(), time.monotonic()

    def client_ends(self, steps: int, flops: float) -> None:
        cpu, wall = self._elapsed()
        if self.timed < TIMED:
            self._per_step.append((cpu / steps, wall / steps))
        self.spent.timed += 1
        self._did(steps, flops, cpu, wall)

    def clients_end(self, work: list[tuple[int, float]]) -> None:
        """Clients that trained side by side, as (steps, operations). What each would have taken alone is its steps times the
        median of those that were timed: their share of the time together would be far less than any device spends."""
        self._elapsed()
        cpu, wall = (median(times) for times in zip(*self._per_step))
        for steps, flops in work:
            self._did(steps, flops, steps * cpu, steps * wall)

    def _elapsed(self) -> tuple[float, float]:
        cpu, wall = time.process_time() - self._cpu, time.monotonic() - self._wall
        self.played += cpu
        return cpu, wall

    def _did(self, steps: int, flops: float, cpu: float, wall: float) -> None:
        self.spent.client_cpu += cpu
        self.spent.client_seconds += wall
        self.spent.steps += steps
        self.spent.flops += flops

    def received(self, weights: dict[str, torch.Tensor]) -> None:
        """One message of this round's downloads; the others are as large. The next update is measured too."""
        self.spent.down += message_bytes(weights)
        self.spent.down_messages += 1
        self.wants_message = True

    def sent(self, weights: dict[str, torch.Tensor]) -> None:
        self.spent.up += message_bytes(weights)
        self.spent.up_messages += 1
        self.wants_message = False

    def state(self) -> dict:
        return asdict(self.spent)

    def restore(self, state: dict) -> None:
        self.spent = Spent(**state)

    def gather(self) -> None:
        """What all processes spent, in the first one."""
        distributed = get_ops().distributed
        if distributed.world_size == 1:
            return
        mine = asdict(self.spent)
        (total,) = distributed.all_reduce([torch.tensor(list(mine.values()), dtype=torch.float32, device=get_default_device())])
        kept = dict(zip(mine, total.tolist())) if distributed.global_rank == 0 else asdict(Spent())
        self.spent = Spent(**{name: type(old)(kept[name]) for name, old in mine.items()})

    def told(self, rounds: int) -> dict:
        spent = self.spent
        each = max(1, spent.participations)
        return {
            "rounds": rounds,
            "participations": spent.participations,
            "bytesDownPerClientRound": spent.down / max(1, spent.down_messages),
            "bytesUpPerClientRound": spent.up / max(1, spent.up_messages),
            "clientCpuSecondsPerRound": spent.client_cpu / each,
            "clientFlopsPerRound": spent.flops / each,
            "serverCpuSeconds": spent.server_cpu,
            "llmTokens": 0,
        }
