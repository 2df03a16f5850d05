# Stage 1: from clients' statistics (noised and charged) or from public texts (free) to the prior. Records of a client are
# split between the stages as in the paper; the client is in both, so both are charged.
import statistics

import torch

from ..arm import noise_seeds
from .clients import Client, somebody
from .message import Clip, Noise, mechanism
from .meters import size_of
from .prior import Prior, pooled, prior_of, released, statistics_of
from .simulation import Simulation


def first_part(sim: Simulation, client: Client) -> list:
    return client.sequences[: max(1, round(sim.job["statistics"]["share"] * len(client.sequences)))]


def second_part(sim: Simulation, client: Client) -> list:
    """What stage 2 learns from: all where stage 1 asked nobody. A client of one text uses it twice."""
    if not sim.reads_statistics:
        return client.sequences
    return client.sequences[len(first_part(sim, client)) :] or client.sequences


def fit_prior(sim: Simulation, public: list[Client]) -> Prior:
    told, layout = sim.job["statistics"], sim.fed.layout
    found = sim.kept.load("prior")
    if found is not None:
        sim.resume(found[1])
        return Prior(found[0]["means"], found[0]["stds"])
    vectors = [
        statistics_of(layout, sim.fed.increments(c.sequences, told["epochs"], [sim.seed, 4, i])[1])
        for i, c in enumerate(public)
    ]
    if told["source"] == "public":
        prior = prior_of(pooled(vectors), layout)
    else:
        norms = [float(torch.linalg.vector_norm(v)) for v in vectors]
        clip = Clip(told["clip"] if told["clip"] is not None else statistics.median(norms))
        noise = Noise(told["noiseMultiplier"] * clip.bound, noise_seeds(sim.job)("statistics"))
        prior = prior_of(released(_ask(sim), clip, noise), layout)
        clients = len(sim.clients)
        sim.mechanisms.append(
            mechanism(
                noise=noise,
                clip=clip,
                releases=noise.releases,
                cohort=clients,
                clients=clients,
                sampling="all",
                participations=1,
                drawn=[clip.vectors],
                note="statistics of local updates, all epochs in one vector",
            )
        )
    sim.kept.save("prior", {"means": prior.means, "stds": prior.stds}, sim.record())
    return prior


def _ask(sim: Simulation) -> list[torch.Tensor]:
    down, told = size_of(sim.state()), []
    for place, client in enumerate(sim.clients):
        sim.stop_if_wanted()

        def work(client=client, place=place) -> tuple[int, torch.Tensor]:
            epochs = sim.job["statistics"]["epochs"]
            through, increments = sim.fed.increments(first_part(sim, client), epochs, [sim.seed, 5, place])
            return through, statistics_of(sim.fed.layout, increments)

        told.append(sim.meters.client(work))
        sim.meters.sent(down, size_of({"statistics": told[-1]}))
        sim.channel.progress("statistics of updates", place + 1, len(sim.clients), "clients")
    epochs, first = sim.job["statistics"]["epochs"], first_part(sim, somebody(sim.clients))
    sim.meters.count(lambda: sim.fed.increments(first, epochs, [sim.seed, 2]))
    sim.meters.state["rounds"] += 1
    return told
