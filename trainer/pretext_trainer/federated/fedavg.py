# The job "federated": DP-FedAvg (arXiv 1710.06963) and DP-FTRL (arXiv 2103.00039, 2306.08153) on Apple's pfl, from a start to
# a model, what was measured on the way, and the mechanisms that the run really used. Killed anywhere, it goes on behind its
# last checkpoint to the same weights.
import json
import os
import shutil
import warnings
from functools import partial
from pathlib import Path

import torch

from ..arm import settings_of
from ..channel import Channel
from ..check import versions
from ..checkpoints import Checkpoints, check_same, write_aside
from ..stop import stopped
from .clients import check_apart, read_rows, texts_by_client


def run(job: dict, channel: Channel) -> dict:
    prepare(job)
    from .rounds import Rounds

    return train(job, channel, "federated", partial(Rounds, job, channel, "training on the devices"))


def train(job: dict, channel: Channel, kind: str, make) -> dict:
    """The same for every way to train: `make` takes the clients' texts and the validation clients' rows."""
    rows, held_out = read_rows(job["clients"], "clients"), read_rows(job["validation"], "validation clients")
    check_apart(rows, held_out)
    out = Path(job["out"])
    checkpoints = Checkpoints(out / "checkpoints")
    if job["resume"] and (done := finished(checkpoints, out)) is not None:
        return done
    settings = settings_of(job)
    rounds = make(texts_by_client(rows), held_out)
    found = checkpoints.latest(channel) if job["resume"] else None
    if found is not None:
        check_same(settings, found[1]["settings"], found[0])
        rounds.restore(checkpoints, *found)
        channel.note(f"resumed {rounds.stage} behind {rounds.done} of {rounds.total}")
    elif rounds.first:
        begin(checkpoints)
    rounds.wait()
    channel.send("started", kind=kind, device=rounds.device_name, processes=rounds.processes, versions=versions())
    rounds.run(checkpoints, settings)
    if rounds.done < rounds.total:
        raise stopped()
    result = rounds.result(out / "model")
    if rounds.first:
        finish(checkpoints, result)
    rounds.close()
    return result


def prepare(job: dict) -> None:
    """Before pfl is loaded, which takes the device from the environment."""
    if job["device"] == "cpu":
        os.environ["PFL_PYTORCH_DEVICE"] = "cpu"
    if job["threads"] is not None:
        torch.set_num_threads(job["threads"])
    warnings.filterwarnings("ignore", message="To copy construct from a tensor")
    warnings.filterwarnings("ignore", message=".*reduce_op. is deprecated")


def begin(checkpoints: Checkpoints) -> None:
    shutil.rmtree(checkpoints.folder, ignore_errors=True)
    checkpoints.folder.mkdir(parents=True, exist_ok=True)


def finished(checkpoints: Checkpoints, out: Path) -> dict | None:
    path = checkpoints.folder / "result.json"
    return json.loads(path.read_text("utf-8")) if path.exists() and (out / "model").is_dir() else None


def finish(checkpoints: Checkpoints, result: dict) -> None:
    """The last checkpoints make room for the result, which is what a resume of a finished run answers."""
    write_aside(checkpoints.folder, lambda aside: (aside / "result.json").write_text(json.dumps(result), "utf-8"))
