# What a run costs, measured on what is really serialised and really computed.
import time
from collections.abc import Callable
from typing import TypeVar

import torch
from safetensors.torch import save
from torch.utils.flop_counter import FlopCounterMode

Out = TypeVar("Out")


def size_of(message: dict[str, torch.Tensor]) -> int:
    """Bytes of a message as it is sent (safetensors); an empty one is not sent."""
    return len(save({k: v.detach().cpu().contiguous() for k, v in message.items()})) if message else 0


class Meters:
    """Sums over client-rounds; `state` is what a checkpoint keeps."""

    def __init__(self) -> None:
        self.state = {"rounds": 0, "participations": 0, "down": 0, "up": 0, "cpu": 0.0, "through": 0, "server": 0.0}
        self.flops_per_token: float | None = None

    def count(self, work: Callable[[], tuple[int, object]]) -> None:
        """Counts one client's work once. Apart from the run itself: while it is counted, other kernels compute it."""
        if self.flops_per_token is None:
            with FlopCounterMode(display=False) as counter:
                through, _ = work()
            self.flops_per_token = counter.get_total_flops() / max(1, through)

    def client(self, work: Callable[[], tuple[int, Out]]) -> Out:
        """One client's work, which answers with (tokens sent through, what it made)."""
        began = time.process_time()
        through, made = work()
        self.state["cpu"] += time.process_time() - began
        self.state["through"] += through
        return made

    def sent(self, down: int, up: int) -> None:
        self.state["participations"] += 1
        self.state["down"] += down
        self.state["up"] += up

    def server(self, work: Callable[[], Out]) -> Out:
        began = time.process_time()
        made = work()
        self.state["server"] += time.process_time() - began
        return made

    def result(self) -> dict:
        s, n = self.state, max(1, self.state["participations"])
        return {
            "rounds": s["rounds"],
            "participations": s["participations"],
            "bytesDownPerClientRound": s["down"] / n,
            "bytesUpPerClientRound": s["up"] / n,
            "clientCpuSecondsPerRound": s["cpu"] / n,
            "clientFlopsPerRound": (self.flops_per_token or 0.0) * s["through"] / n,
            "serverCpuSeconds": s["server"],
            "llmTokens": 0,
        }
