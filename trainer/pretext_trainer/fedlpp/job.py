# The job "fedlpp": one federated training for each bit width, the first of which is the arm; gaps between what the server
# and what clients hold; meters. Killed anywhere, it goes on behind its last checkpoint with the same result.
import os
from pathlib import Path

import torch

from .. import start as starts
from ..channel import Channel
from ..check import versions
from ..checkpoints import write_aside
from ..place import Place
from ..stop import stop_wanted, stopped
from .adapter import load, trained, with_adapter
from .clients import Validation, both_groups, check_cohort
from .gaps import WINDOWS, gap_row, recovery
from .progress import Progress
from .quantise import WHOLE, Adapter

# Clients whose operations are counted; the others' follow by their tokens.
FLOPS_OF = 4


def run(job: dict, channel: Channel) -> dict:
    place = Place(job["device"], "fp32", job["threads"])
    channel.send("started", kind="fedlpp", device=place.name, processes=1, versions=versions())
    progress = Progress(job)
    finished = progress.finished()
    if finished is not None:
        return finished
    # pfl chooses a device when it is imported.
    os.environ["PFL_PYTORCH_DEVICE"] = str(place.device)
    start = starts.checkpoint({"from": "folder", "model": job["start"], "revision": None}, torch.float32)
    clients, _ = both_groups(job, start.tokenizer)
    cohort = check_cohort(job, len(clients))
    validation = Validation(job["validation"], start.tokenizer, job["sequenceTokens"])
    model = with_adapter(start.model.to(place.device), job["rank"], job["alpha"], job["seed"])
    fresh = trained(model)
    before = validation(model)
    widths = [job["bits"], *(b for b in job["otherBits"] if b != job["bits"])]
    found = progress.load()
    state = {"done": [], "curve": []} if found is None else {k: found[0][k] for k in ("done", "curve")}
    for bits in widths[len(state["done"]) :]:
        load(model, fresh)
        finished_width = _train(job, channel, progress, state, model, clients, cohort, bits, validation, found)
        found = None
        if bits == job["bits"]:
            _write_model(job, place, start.tokenizer, trained(model))
        state["done"] = [*state["done"], finished_width]
        progress.save(state, {})
    result = _result(job, state, before, sum(v.numel() for v in fresh.values()))
    progress.finish(result)
    return result


def _train(job, channel, progress, state, model, clients, cohort, bits, validation, found) -> dict:
    from .rounds import Training

    training = Training(model, clients, cohort, bits, job)
    deliveries: list[Adapter] = []
    if found is not None and "round" in found[0]:
        kept, tensors = found
        training.restore(_part(tensors, "theta"), kept["meters"], kept["round"], kept["mechanism"])
        deliveries = [_part(tensors, f"delivery{i}") for i in range(kept["deliveries"])]
        channel.note(f"resumed {bits} bits at round {training.round} of {job['rounds']}")
    if training.round == 0:
        training.count_flops([i for i, client in enumerate(clients) if client.sequences][:FLOPS_OF])
    stage = f"{bits} bits"
    while training.round < job["rounds"]:
        deliveries = [*deliveries, training.step()][-max(WINDOWS) :]
        ended = training.round == job["rounds"]
        if training.round % job["evaluateEvery"] == 0 or ended:
            state["curve"] = [*state["curve"], _look(training, validation, deliveries, channel, stage)]
        channel.progress(stage, training.round, job["rounds"], "rounds")
        if stop_wanted() or training.round % job["checkpointRounds"] == 0 or ended:
            tensors = {f"theta.{n}": v for n, v in trained(model).items()}
            for i, delivery in enumerate(deliveries):
                tensors |= {f"delivery{i}.{n}": v for n, v in delivery.items()}
            place = {"round": training.round, "deliveries": len(deliveries), "meters": vars(training.meters)}
            place["mechanism"] = None if training.mechanism is None else training.mechanism.seen()
            progress.save({**state, **place}, tensors)
        if stop_wanted():
            raise stopped()
    training.cohorts.cohort = []
    deliveries.append(training.deliver())
    by_texts = sorted(range(len(clients)), key=lambda i: -len(clients[i].sequences))
    row = gap_row(
        model,
        lambda: validation(model)["loss"],
        training.train_alone,
        deliveries,
        [i for i in by_texts[: job["attackers"]] if clients[i].sequences],
        job["healingEpochs"],
    )
    mechanism = training.mechanism
    return {
        "bits": bits,
        "row": row,
        "meters": vars(training.meters),
        "validation": validation(model),
        "mechanism": None if mechanism is None else {**mechanism.seen(), "clip": mechanism.clipping_bound},
        "cohort": cohort,
        "clients": len(clients),
    }


def _part(tensors: dict[str, torch.Tensor], name: str) -> Adapter:
    return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}


def _look(training, validation: Validation, deliveries: list[Adapter], channel: Channel, stage: str) -> dict:
    """Loss of the server and of a client that has just got the new adapter, and how well deliveries tell the exact one."""
    exact = trained(training.model)
    server = validation(training.model)["loss"]
    cohort, training.cohorts.cohort = training.cohorts.cohort, []
    now = training.deliver()
    training.cohorts.cohort = cohort
    load(training.model, now)
    client = validation(training.model)["loss"]
    load(training.model, exact)
    channel.metric(stage, "serverLoss", server, step=training.round)
    channel.metric(stage, "clientLoss", client, step=training.round)
    known = {"errorOf2": None, "errorOf5": None, **recovery(exact, [*deliveries, now])}
    return {"bits": training.bits, "round": training.round, "serverLoss": server, "clientBefore": client, **known}


def _write_model(job: dict, place: Place, tokenizer, theta: Adapter) -> None:
    # Merged into a start of its own: the model in memory goes on with other widths.
    whole = starts.checkpoint({"from": "folder", "model": job["start"], "revision": None}, torch.float32).model
    merged = with_adapter(whole.to(place.device), job["rank"], job["alpha"], job["seed"])
    load(merged, theta)
    plain = merged.merge_and_unload()
    write_aside(Path(job["out"]) / "model", lambda aside: (plain.save_pretrained(aside), tokenizer.save_pretrained(aside)))


def _result(job: dict, state: dict, before: dict, values: int) -> dict:
    main = state["done"][0]
    meters, seen = main["meters"], main["mechanism"]
    participations = max(1, meters["participations"])
    whole = next((d["row"]["serverLoss"] for d in state["done"] if d["bits"] == WHOLE), None)
    gaps = []
    for done in state["done"]:
        down = done["meters"]["bytes_down"] / max(1, done["meters"]["participations"])
        loss = done["row"]["serverLoss"]
        gaps.append(
            {
                "bits": done["bits"],
                "bytesDown": down,
                "bitsPerValue": 8 * down / values,
                "serverMinusAveraging": None if whole is None else loss - whole,
                **{f"errorOf{w}": None for w in WINDOWS},
                **done["row"],
            }
        )
    mechanism = {
        # Without noise every sum is released as it is: quantising is no mechanism.
        "sigma": 0 if seen is None else seen["sigma"],
        "clip": None if seen is None else seen["clip"],
        "releases": meters["rounds"],
        "cohort": main["cohort"],
        "clients": main["clients"],
        "sampling": job["sampling"],
        "contributions": "signed",
        "maxParticipations": max(meters["taken"]),
        "drawn": meters["drawn"],
        "unit": "client",
        "note": "updates of a LoRA adapter; what is delivered is computed from earlier releases",
    }
    return {
        "model": str(Path(job["out"]) / "model"),
        "mechanisms": [mechanism],
        "meters": {
            "rounds": meters["rounds"],
            "participations": meters["participations"],
            "bytesDownPerClientRound": meters["bytes_down"] / participations,
            "bytesUpPerClientRound": meters["bytes_up"] / participations,
            "clientCpuSecondsPerRound": meters["client_seconds"] / participations,
            "clientFlopsPerRound": meters["flops"] / max(1, meters["flops_tokens"]) * meters["tokens"] / participations,
            "serverCpuSeconds": meters["server_seconds"],
            "llmTokens": 0,
        },
        "validation": main["validation"],
        "measures": {
            "startLoss": before["loss"],
            "adapterValues": values,
            "bits": job["bits"],
            "rule": job["rule"],
            "largestContribution": None if seen is None else seen["largest_norm"],
            "gaps": gaps,
            "rounds": state["curve"],
        },
    }
