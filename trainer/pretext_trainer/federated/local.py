# The job "local": nobody shares anything. Each client trains a copy of the start on its own texts, and is measured on texts of
# its own that it held out. Nothing is released, so there is nothing to protect and no epsilon. To see what such models are
# worth to others, some of them are written and measured on the validation clients.
import json
from pathlib import Path

import numpy as np

from ..arm import settings_of
from ..channel import Channel
from ..check import versions
from ..checkpoints import Checkpoints, check_same, write_aside
from ..failure import Failure
from ..stop import stop_wanted, stopped
from .clients import check_apart, read_rows, texts_by_client
from .fedavg import begin, prepare

STAGE = "each client alone"
CHECKPOINT_CLIENTS = 50


def run(job: dict, channel: Channel) -> dict:
    prepare(job)
    from pfl.internal.ops.pytorch_ops import get_default_device

    from .alone import Alone

    rows, held_out = read_rows(job["clients"], "clients"), read_rows(job["validation"], "validation clients")
    check_apart(rows, held_out)
    checkpoints = Checkpoints(Path(job["out"]) / "checkpoints")
    settings = settings_of(job)
    state = checkpoints.folder / "clients" / "state.json"
    alone = Alone(job, held_out, get_default_device(), Path(job["out"]) / "models")
    if job["resume"] and state.exists():
        kept = json.loads(state.read_text("utf-8"))
        check_same(settings, kept["settings"], state)
        alone.rows = kept["rows"]
        alone.meter.restore(kept["meter"])
        channel.note(f"resumed {STAGE} behind client {len(alone.rows)}")
    else:
        begin(checkpoints)
    channel.send("started", kind="local", device=str(alone.device), processes=1, versions=versions())
    splits = _splits(job, texts_by_client(rows))

    def save() -> None:
        kept = {"settings": settings, "rows": alone.rows, "meter": alone.meter.state()}
        write_aside(state.parent, lambda aside: (aside / "state.json").write_text(json.dumps(kept), "utf-8"))

    for index, (train, own) in enumerate(splits):
        if index < len(alone.rows):
            continue
        alone.client(index, train, own)
        channel.progress(STAGE, index + 1, len(splits), "clients")
        stopping = stop_wanted() and index + 1 < len(splits)
        if stopping or (index + 1) % CHECKPOINT_CLIENTS == 0 or index + 1 == len(splits):
            save()
        if stopping:
            raise stopped()
    return alone.result()


def _splits(job: dict, texts: list[list[str]]) -> list[tuple[list[str], list[str]]]:
    """(texts to learn from, texts held out) of each client that is drawn, in a seeded order."""
    able = [own for own in texts if len(own) > 1]
    if not able:
        raise Failure("data", "expected a client with two texts or more, one to learn from and one to measure on, got none")
    order = np.random.default_rng([job["seed"], 21]).permutation(len(able))
    made = []
    for index in order[: job["sample"]]:
        own = able[index]
        held = min(len(own) - 1, max(1, round(job["heldOut"] * len(own))))
        mixed = [own[i] for i in np.random.default_rng([job["seed"], 22, int(index)]).permutation(len(own))]
        made.append((mixed[held:], mixed[:held]))
    return made
