# LoRA's noise on a model's own gradients: predicted and measured, for each rank; and one step that tells a text apart.
from typing import Callable

import torch

from ..fedlpp.clients import Client
from .distinguish import auc_bound, distinguish, distinguish_noised
from .noise import gaussian_distance, noise_ratio, sketched, step_cosine
from .row import RowTraining
from .sketch import draw_a

# Clients behind the mean gradient, and draws of A for each projection.
CLIENTS, DRAWS = 16, 3


def _gradients(fresh: Callable, clients: list[Client], job: dict) -> dict[str, torch.Tensor]:
    row = {"method": "full", "rank": 1, "optimiser": "sgd", "learningRate": 1.0}
    training = RowTraining(fresh(), clients, len(clients), row, job)
    return {n: g.cpu() / len(clients) for n, g in training._sums(list(range(len(clients)))).items()}


def noise_table(fresh: Callable, clients: list[Client], job: dict) -> list[dict]:
    gradients = _gradients(fresh, [c for c in clients if c.sequences][:CLIENTS], job)
    table = []
    for rank in job["noiseRanks"]:
        energy = noise = kept = step = predicted = 0.0
        for place, g in enumerate(gradients.values()):
            predicted += float(g.square().sum()) * noise_ratio(g.shape[1], rank) ** 2
            for i in range(DRAWS):
                seen = sketched(g, draw_a("gaussian", rank, g.shape[1], [job["seed"], 51, place, i]))
                energy += float(g.square().sum())
                noise += float((seen - g).square().sum())
                kept += float((seen * g).sum())
                step += float(seen.square().sum())
        width = min(g.shape[1] for g in gradients.values())
        table.append(
            {
                "rank": rank,
                "noisePredicted": (predicted * DRAWS / energy) ** 0.5,
                "noiseMeasured": (noise / energy) ** 0.5,
                "cosinePredicted": step_cosine(width, rank),
                "cosineMeasured": kept / (energy * step) ** 0.5,
                "distanceFromGaussian": gaussian_distance(rank),
            }
        )
    return table


def distinguisher_table(fresh: Callable, clients: list[Client], job: dict) -> list[dict]:
    """On the first projection: a step on one text against a step on two, each cut short so that directions stay free."""
    most = max(2, fresh().config.hidden_size // 4)
    cut = [Client([c.sequences[0][:most]]) for c in [c for c in clients if c.sequences][:2]]
    pair = [next(iter(_gradients(fresh, [c], job).values())) for c in cut]
    private = job["method"] == "dp"
    table = []
    for rank in job["noiseRanks"]:
        row: dict = {"rank": rank, "aucPlain": distinguish(*pair, rank, 50, job["seed"])}
        if private:
            row["aucNoised"] = distinguish_noised(*pair, rank, 500, job["seed"], job["clip"], job["noiseMultiplier"])
            row["aucBound"] = auc_bound(job["noiseMultiplier"])
        table.append(row)
    return table
