# The job "lora-dp-sgd": one training for each row of the table, the first of which is the arm; what LoRA's noise is on this
# model's own gradients; membership inference on each row. Killed anywhere, it goes on behind its last checkpoint.
from pathlib import Path

import numpy as np
import torch

from .. import start as starts
from ..channel import Channel
from ..check import versions
from ..checkpoints import write_aside
from ..failure import Failure
from ..federated.clients import read_rows
from ..fedlpp.clients import Client, Validation, both_groups, check_cohort
from ..fedlpp.progress import Progress
from ..place import Place
from ..stop import stop_wanted, stopped
from .gradients import distinguisher_table, noise_table
from .membership import ATTACKS, attack_row, audit_counts, client_figures, scores_of
from .row import RowTraining


def run(job: dict, channel: Channel) -> dict:
    place = Place(job["device"], "fp32", job["threads"])
    channel.send("started", kind="lora-dp-sgd", device=place.name, processes=1, versions=versions())
    rows = [_main_row(job), *job["others"]]
    progress = Progress(job)
    finished = progress.finished()
    if finished is not None:
        return finished
    tokenizer = _start(job).tokenizer
    clients, others = both_groups(job, tokenizer)
    cohort = check_cohort(job, len(clients))
    validation = Validation(job["validation"], tokenizer, job["sequenceTokens"])
    members, strangers = _some(clients, job), _some(others, job)
    base = _start(job).model.to(place.device).eval()
    before = [_figures(base, group, place, job) for group in (members, strangers)]
    start_loss = validation(base)["loss"]
    del base
    found = progress.load()
    done: list[dict] = [] if found is None else found[0]["done"]
    for index in range(len(done), len(rows)):
        training = RowTraining(_start(job).model.to(place.device), clients, cohort, rows[index], job)
        looks: list[dict] = []
        if found is not None and "step" in found[0]:
            looks = found[0]["looks"]
            _restore(training, *found)
            channel.note(f"resumed {_name(rows[index])} at step {training.seen.steps} of {job['steps']}")
        found = None
        done = [*done, _train(job, channel, progress, place, training, looks, done, members, strangers, before, validation)]
        if index == 0:
            write_aside(
                Path(job["out"]) / "model",
                lambda aside: (training.model.save_pretrained(aside), tokenizer.save_pretrained(aside)),
            )
        progress.save({"done": done}, {})
    result = _result(job, rows, done, clients, cohort, start_loss, _loss(before[0]), tokenizer, place)
    progress.finish(result)
    return result


def _main_row(job: dict) -> dict:
    row = {k: job[k] for k in ("method", "rank", "optimiser", "learningRate")}
    if (job["method"] == "dp") != (job["noiseMultiplier"] is not None):
        raise Failure(
            "config",
            f"expected a noise multiplier for the method dp and for no other, got {job['method']} with {job['noiseMultiplier']}",
            "plain LoRA has no differential privacy, whatever its rank: only noise on bounded sums gives an epsilon",
        )
    return {**row, "clip": job["clip"], "noiseMultiplier": job["noiseMultiplier"]} if job["method"] == "dp" else row


def _start(job: dict) -> starts.Start:
    return starts.checkpoint({"from": "folder", "model": job["start"], "revision": None}, torch.float32)


def _name(row: dict) -> str:
    return f"{row['method']} rank {row['rank']}"


def _some(clients: list[Client], job: dict) -> list[Client]:
    order = np.random.default_rng([job["seed"], 42]).permutation(len(clients))
    return [clients[i] for i in order if clients[i].sequences][: job["attackClients"]]


def _figures(model: torch.nn.Module, group: list[Client], place: Place, job: dict) -> np.ndarray:
    return client_figures(lambda ids: model(input_ids=ids, use_cache=False).logits, group, place.device, job["microBatch"])


def _loss(figures: np.ndarray) -> float:
    """Nats per token, over all clients' tokens."""
    return float((figures[:, 0] * figures[:, 2]).sum() / figures[:, 2].sum())


def _train(job, channel, progress, place, training, looks, done, members, strangers, before, validation) -> dict:
    row, seen = training.settings, training.seen
    stage = _name(row)
    at = {round(job["steps"] * (i + 1) / job["looks"]) for i in range(job["looks"])} | {job["steps"]}
    scores: dict = {}
    while seen.steps < job["steps"]:
        training.step()
        ended = seen.steps == job["steps"]
        if seen.steps in at:
            look, scores = _look(training, job, place, members, strangers, before)
            looks = [*looks, look]
            channel.metric(stage, "trainLoss", look["trainLoss"], step=seen.steps)
            channel.metric(stage, "aucReference", look["aucReference"], step=seen.steps)
        channel.progress(stage, seen.steps, job["steps"], "steps")
        if not ended and (stop_wanted() or seen.steps % job["checkpointSteps"] == 0):
            _save(progress, training, looks, done)
        if stop_wanted() and not ended:
            raise stopped()
    kept = {**vars(seen)}
    training.end()
    counts = [{"attack": a, **audit_counts(*scores[a])} for a in ATTACKS]
    return {"looks": looks, "seen": kept, "validation": validation(training.model), "audit": counts}


def _look(training: RowTraining, job: dict, place: Place, members, strangers, before) -> tuple[dict, dict]:
    training.model.eval()
    figures = [_figures(training.model, group, place, job) for group in (members, strangers)]
    training.model.train()
    mine, theirs = (scores_of(f, b) for f, b in zip(figures, before))
    scores = {attack: (mine[attack], theirs[attack]) for attack in ATTACKS}
    row = training.settings
    look: dict = {k: row[k] for k in ("method", "rank", "optimiser", "learningRate")}
    look |= {"step": training.seen.steps, "epochs": sum(training.seen.drawn) / len(training.clients)}
    look |= {"trainLoss": _loss(figures[0]), "otherLoss": _loss(figures[1])}
    for attack, short in zip(ATTACKS, ("Loss", "Reference", "MinK")):
        found = attack_row(*scores[attack], job["resamples"] if attack == "reference" else 1, job["seed"])
        look[f"auc{short}"] = found["auc"]
        look[f"tprAt1{short}"] = found["tprAt1"]
        if attack == "reference":
            look |= {"aucReferenceLow": found["aucLow"], "aucReferenceHigh": found["aucHigh"]}
    return look, scores


def _save(progress: Progress, training: RowTraining, looks: list[dict], done: list[dict]) -> None:
    tensors = {f"weight.{n}": p for n, p in training.trained.items()}
    tensors |= {f"moved.{n}": p for n, p in training.moved().items()}
    for place, values in training.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{place}.{k}": torch.as_tensor(v) for k, v in values.items() if v is not None}
    progress.save({"done": done, "step": training.seen.steps, "looks": looks, "seen": vars(training.seen)}, tensors)


def _restore(training: RowTraining, state: dict, tensors: dict[str, torch.Tensor]) -> None:
    vars(training.seen).update(state["seen"])
    kept = training.optimiser.state_dict()
    with torch.no_grad():
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            if part == "optimiser":
                place, _, key = rest.partition(".")
                kept["state"].setdefault(int(place), {})[key] = value
            else:
                (training.trained if part == "weight" else training.moved())[rest].copy_(value)
    training.optimiser.load_state_dict(kept)


def mechanisms(job: dict, seen: dict, clients: int, cohort: int) -> list[dict]:
    """What was added to what, as the training saw it. Plain LoRA released its sums as they were: no bound and no noise, and so
    no epsilon, whatever the rank (its random A is no mechanism: see distinguish.py)."""
    private = job["method"] == "dp"
    if private and not seen["sigma"]:
        raise Failure("unexpected", "DP-SGD without noise on its sums: there is no epsilon for that")
    return [
        {
            "sigma": seen["sigma"] if private else 0,
            "clip": job["clip"] if private else None,
            "releases": seen["steps"],
            "cohort": cohort,
            "clients": clients,
            "sampling": job["sampling"],
            "contributions": "signed",
            "maxParticipations": max(seen["taken"]),
            "drawn": seen["drawn"],
            "unit": "client",
            "note": "gradients of LoRA's B with A frozen" if private else "plain LoRA: no bound and no added noise",
        }
    ]


def equal_loss(looks: list[list[dict]], start: float) -> list[dict]:
    """Each row's reference AUC where its training loss passes the lowest one that all rows reach: a small rank hides more, but it
    also learns less, and only what differs at equal loss is the noise. None for a row whose first look is below that already: the
    AUC bends between the start and there, so that no straight line tells it. Rows that never got below `start`, the loss of the
    same texts before, are left out."""
    looks = [row for row in looks if min(look["trainLoss"] for look in row) < start]
    target = max((min(look["trainLoss"] for look in row) for row in looks), default=start)
    table = []
    for row in looks:
        points = [(look["trainLoss"], look["aucReference"]) for look in row]
        # From each look to the next, and the first one by itself.
        found = next(
            (
                b if high == low else a + (high - target) / (high - low) * (b - a)
                for (high, a), (low, b) in zip([points[0], *points], points)
                if low <= target <= high
            ),
            None,
        )
        head = {k: row[0][k] for k in ("method", "rank", "optimiser")}
        table.append({**head, "trainLoss": target, "aucReference": found})
    return table


def _result(job, rows, done, clients, cohort, start_loss, members_loss, tokenizer, place) -> dict:
    main = done[0]
    seen = main["seen"]
    participations = max(1, sum(seen["drawn"]))
    # One place holds the texts: each client sends them once.
    sent = sum(len(row.text.encode("utf-8", "replace")) for row in read_rows(job["clients"], "the clients"))
    fresh = lambda: _start(job).model.to(place.device)  # noqa: E731
    noise = noise_table(fresh, clients, job) if job["noiseRanks"] else []
    return {
        "model": str(Path(job["out"]) / "model"),
        "mechanisms": mechanisms(job, seen, len(clients), cohort),
        "meters": {
            "rounds": seen["steps"],
            "participations": sum(seen["drawn"]),
            "bytesDownPerClientRound": 0,
            "bytesUpPerClientRound": sent / participations,
            "clientCpuSecondsPerRound": 0,
            "clientFlopsPerRound": 0,
            "serverCpuSeconds": seen["seconds"],
            "llmTokens": 0,
        },
        "validation": main["validation"],
        "measures": {
            "startLoss": start_loss,
            "method": job["method"],
            "largestContribution": seen["largest"] if job["method"] == "dp" else None,
            "rows": [look for d in done for look in d["looks"]],
            "equalLoss": equal_loss([d["looks"] for d in done], members_loss),
            "audit": [
                {**{k: row[k] for k in ("method", "rank", "optimiser")}, **counts}
                for row, d in zip(rows, done)
                for counts in d["audit"]
            ],
            "noise": noise,
            "distinguisher": distinguisher_table(fresh, clients, job) if job["noiseRanks"] else [],
        },
    }
