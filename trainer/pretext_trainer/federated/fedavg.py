# The job "federated": DP-FedAvg (arXiv 1710.06963) and DP-FTRL (arXiv 2103.00039, 2306.08153) on Apple's pfl, from a start to
# a model, what was measured on the way, and the mechanisms that the run really used. Killed anywhere, it goes on behind its
# last checkpoint to the same weights.
import json
import os
import shutil
import warnings
from pathlib import Path

import torch

from ..channel import Channel
from ..check import versions
from ..checkpoints import Checkpoints, check_same, write_aside
from ..stop import stop_wanted, stopped
from ..texts import fingerprint
from .clients import check_apart, read_rows, texts_by_client

# What may differ between the process that was killed and the one that goes on.
FREE = {"out", "resume", "device", "processes", "threads", "checkpointRounds", "kind", "clients", "validation", "start"}
STAGE = "training on the devices"


def run(job: dict, channel: Channel) -> dict:
    if job["device"] == "cpu":
        # Before pfl is loaded, which takes the device from here.
        os.environ["PFL_PYTORCH_DEVICE"] = "cpu"
    if job["threads"] is not None:
        torch.set_num_threads(job["threads"])
    warnings.filterwarnings("ignore", message="To copy construct from a tensor")
    from .rounds import Rounds

    rows, held_out = read_rows(job["clients"], "clients"), read_rows(job["validation"], "validation clients")
    check_apart(rows, held_out)
    out = Path(job["out"])
    finished = out / "checkpoints" / "result.json"
    if job["resume"] and finished.exists() and (out / "model").is_dir():
        return json.loads(finished.read_text("utf-8"))
    settings = {k: v for k, v in job.items() if k not in FREE}
    settings |= {
        "clients": {"sha256": fingerprint([f"{r.client}\n{r.text}" for r in rows])},
        "validation": {"sha256": fingerprint([r.text for r in held_out])},
    }
    rounds = Rounds(job, texts_by_client(rows), held_out, channel)
    checkpoints = Checkpoints(out / "checkpoints")
    found = checkpoints.latest(channel) if job["resume"] else None
    if found is not None:
        check_same(settings, found[1]["settings"], found[0])
        rounds.restore(checkpoints, *found)
        channel.note(f"resumed {STAGE} at round {rounds.done} of {job['rounds']}")
    elif rounds.first:
        shutil.rmtree(checkpoints.folder, ignore_errors=True)
        checkpoints.folder.mkdir(parents=True, exist_ok=True)
    rounds.wait()
    channel.send("started", kind="federated", device=rounds.device_name, processes=rounds.processes, versions=versions())
    rounds.run(checkpoints, settings)
    if stop_wanted() and rounds.done < job["rounds"]:
        raise stopped()
    result = rounds.result(out / "model")
    if rounds.first:
        write_aside(checkpoints.folder, lambda aside: (aside / "result.json").write_text(json.dumps(result), "utf-8"))
    rounds.close()
    return result
