# The job "central-dp": what could be reached if the clients handed their texts over and only the model had to be private.
# DP-SGD (arXiv 1607.00133) whose bounded unit is a client, or a text as in Opacus, where a client is a group of texts.
import json
from functools import partial

from ..channel import Channel
from .clients import read_rows, texts_by_client
from .fedavg import prepare, train


def run(job: dict, channel: Channel) -> dict:
    prepare(job)
    from .rounds import Rounds

    stage = "training on pooled texts"
    if job["unit"] == "client":
        made = partial(Rounds, as_rounds(job), channel, stage)
    else:
        # Opacus is for texts alone, and takes seconds to load.
        from .text_steps import TextSteps

        made = partial(TextSteps, job, channel, stage)
    result = train(job, channel, "central-dp", made)
    # Every client sends its texts, once; what follows is the server's work.
    texts = texts_by_client(read_rows(job["clients"], "clients"))
    meters = result["meters"]
    computed = meters["participations"] * meters["clientCpuSecondsPerRound"]
    return {
        **result,
        "meters": {
            **meters,
            "rounds": 1,
            "participations": len(texts),
            "bytesDownPerClientRound": 0,
            "bytesUpPerClientRound": sum(len(json.dumps(own, ensure_ascii=False).encode("utf-8", "replace")) for own in texts) / len(texts),
            "clientCpuSecondsPerRound": 0,
            "clientFlopsPerRound": 0,
            "serverCpuSeconds": meters["serverCpuSeconds"] + computed,
        },
    }


def as_rounds(job: dict) -> dict:
    """A step on the mean gradient of each drawn client is a round of federated averaging with one local step of rate 1."""
    server = {"optimiser": job["optimiser"], "learningRate": job["learningRate"]}
    server |= {"momentum": job["momentum"]} if job["optimiser"] == "sgd" else {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    return {
        **{k: v for k, v in job.items() if k not in ("unit", "steps", "batch", "texts", "optimiser", "momentum")},
        "rounds": job["steps"],
        "sampling": "all" if job["batch"] is None else "poisson",
        "cohort": job["batch"],
        "client": {"learningRate": 1.0, "epochs": 1, "steps": None, "batch": None, "gradientNorm": None, "texts": job["texts"]},
        "server": server,
        "clip": {"kind": "none"} if job["clip"] is None else {"kind": "fixed", "bound": job["clip"]},
        "noise": "independent",
        "validateRounds": job["validateSteps"],
        "checkpointRounds": job["checkpointSteps"],
    }
