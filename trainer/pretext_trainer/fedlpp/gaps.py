# How much less a client holds than the server (FedLPP's claim), as losses on the validation clients. A client may use all
# that it got: the last delivery, averages of the last deliveries, and its own texts, over which it trains as in a round and
# then again. The best of these is what the model's privacy is worth.
from typing import Callable

import torch

from .adapter import distance, load, trained
from .quantise import Adapter

# Deliveries that an attacker averages.
WINDOWS = (1, 2, 5)


def averages(deliveries: list[Adapter]) -> dict[int, Adapter]:
    """The mean of the last 1, 2, 5 deliveries: a static adapter that is rounded in several ways would come out."""
    kept = {}
    for window in WINDOWS:
        last = deliveries[-window:]
        if len(last) == window:
            kept[window] = {n: torch.stack([d[n] for d in last]).mean(dim=0) for n in last[-1]}
    return kept


def recovery(exact: Adapter, deliveries: list[Adapter]) -> dict[str, float]:
    """Relative error of each average as an estimate of what the server keeps."""
    return {f"errorOf{w}": distance(mean, exact) for w, mean in averages(deliveries).items()}


def gap_row(
    model: torch.nn.Module,
    loss_of: Callable[[], float],
    train: Callable[[int, int], None],
    deliveries: list[Adapter],
    attackers: list[int],
    healing: int,
) -> dict[str, float | int | None]:
    """`train(client, pass)` trains the model as it stands on that client's texts, like one round or one pass more."""
    exact = trained(model)
    server = loss_of()
    losses = {}
    for window, mean in averages(deliveries).items():
        load(model, mean)
        losses[window] = loss_of()
    after, healed = [], []
    for client in attackers:
        load(model, deliveries[-1])
        train(client, 0)
        after.append(loss_of())
        for extra in range(1, healing + 1):
            train(client, extra)
            healed.append(loss_of())
    load(model, exact)
    best = min([*losses.values(), *after, *healed])
    return {
        "serverLoss": server,
        "clientBefore": losses[1],
        "gapBefore": losses[1] - server,
        "clientAveraged": min(losses.values()),
        "clientAfter": min(after),
        "gapAfter": min(after) - server,
        "clientHealed": min(healed, default=None),
        "gapHealed": None if not healed else min(healed) - server,
        "gapBest": best - server,
        **recovery(exact, deliveries),
    }
