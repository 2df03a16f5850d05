# The job "dr-encoder": stage 1 fits the prior and trains the codec on draws of it, stage 2 is federated LoRA through that
# codec. The result says what was really clipped and noised, what a round cost, and whether the codec told anything at all.
import statistics
from pathlib import Path

import torch

from ..arm import noise_seeds
from ..channel import Channel
from ..check import versions
from ..checkpoints import write_aside
from ..failure import Failure
from ..federated.clients import check_apart, read_rows
from ..place import Place
from .clients import Client, next_token, public_clients, read_clients, rows_of
from .codec import LINEAR, Codec, Identity, make
from .federation import Federation
from .gates import reconstruction
from .identify import identified
from .kept import Kept
from .message import Clip, Noise
from .meters import size_of
from .prior import Prior
from .rounds import Rounds
from .simulation import FITTED, Simulation
from .stage_one import fit_prior
from .train_codec import trained
from .uplink import Uplink, check_orders

HELD_OUT = 16
DRAWS = 32


def run(job: dict, channel: Channel) -> dict:
    place = Place(job["device"], "fp32", job["threads"])
    channel.send("started", kind="dr-encoder", device=place.name, processes=1, versions=versions())
    check(job)
    check_apart(read_rows(job["clients"], "the clients"), read_rows(job["validation"], "the validation clients"))
    kept = Kept(Path(job["out"]), job)
    finished = kept.load("result")
    if finished is not None:
        return finished[1]
    fed = Federation(job, place.device)
    read = [job["sequenceTokens"], job["textsPerClient"], job["seed"]]
    sim = Simulation(job, channel, fed, kept, read_clients(job["clients"], fed.tokenizer, *read))
    validation = read_clients(job["validation"], fed.tokenizer, *read)
    public = public_clients(job, fed.tokenizer) if job["publicTexts"] is not None else []
    updates = [fed.update(c.sequences, [sim.seed, 3, i])[1] for i, c in enumerate(public)]
    norm = statistics.median(float(torch.linalg.vector_norm(u)) for u in updates) if updates else None
    prior = fit_prior(sim, public) if job["codec"] in FITTED else None
    codec = make(job["codec"], fed.layout, prior, sim.seed, fed.device)
    error = trained(sim, codec, prior, updates)
    bound = {None: norm, "none": None}.get(job["clip"], job["clip"])
    uplink = _uplink(sim, codec, prior, bound)
    told = _look(sim, validation, uplink)
    rounds = Rounds(sim, uplink)
    rounds.run()
    folder = Path(job["out"]) / "model"
    write_aside(folder, fed.write)
    base = fed.model.base_model.model
    result = {
        "model": str(folder),
        "mechanisms": sim.mechanisms,
        "meters": sim.meters.result(),
        "validation": next_token(base, fed.tokenizer, rows_of(job["validation"]), job["sequenceTokens"], fed.device),
        "measures": {
            "codec": job["codec"],
            **told,
            "trainingError": error,
            "numbers": fed.layout.numel,
            "latentNumbers": codec.latent,
            "latentShare": codec.latent / fed.layout.numel,
            "codecBytes": size_of(codec.sent()),
            "publicUpdateNorm": norm,
            "updateClip": bound,
            "messageClip": uplink.clip.bound,
            "largestMessage": uplink.clip.largest,
            "clippedShare": uplink.clip.share(),
            "noiseStd": uplink.noise.std,
            "rounds": rounds.rows,
        },
    }
    kept.save("result", {"none": torch.zeros(1)}, result)
    return result


def check(job: dict) -> None:
    check_orders(job, linear=job["codec"] in LINEAR)
    told, fitted = job["statistics"], job["codec"] in FITTED
    if fitted and told["source"] == "clients" and told["noiseMultiplier"] == 0 and job["noiseMultiplier"] > 0:
        raise Failure(
            "config",
            "statistics of clients' updates without noise would undo the noise of every later round",
            "give statistics.noiseMultiplier, or fit the prior to public texts (statistics.source public)",
        )
    if job["clip"] == "none" and job["noiseMultiplier"] > 0:
        raise Failure("config", "expected a clip where there is noise, got none", "give clip, or noiseMultiplier 0")
    wants_public = (
        job["clip"] is None
        or (fitted and (told["source"] == "public" or told["clip"] is None))
        or job["autoencoder"]["trainOn"] == "public-updates"
    )
    if wants_public and job["publicTexts"] is None:
        raise Failure(
            "config",
            "expected public texts for what is not given: a clip, the prior, or the updates that the codec is trained on",
            "name them (publicTexts), or give clip, statistics.clip and statistics.source clients",
        )


def _uplink(sim: Simulation, codec: Codec, prior: Prior | None, bound: float | None) -> Uplink:
    job = sim.job
    if job["noise"] == "post_encode" and bound is not None and codec.latent > 0:
        bound = job["latentClip"] or _latent_bound(sim, codec, prior, bound)
    noise = Noise(job["noiseMultiplier"] * (bound or 0.0), noise_seeds(job)("rounds"))
    return Uplink(
        codec, Clip(bound), noise, order=job["noise"], by=job["noiseBy"], decode=job["decode"], expected=sim.expected
    )


def _latent_bound(sim: Simulation, codec: Codec, prior: Prior | None, bound: float) -> float:
    """Enc may stretch: its codes have a bound of their own, which depends on no client. Of 64 numbers behind orthonormal rows
    an eighth of the norm is left; for what is fitted to the prior, it is the median code of the prior's draws."""
    if prior is None:
        return bound if isinstance(codec, Identity) else bound / 8
    draws = prior.draw(sim.fed.layout, DRAWS, torch.Generator().manual_seed(sim.seed * 31 + 7)).to(sim.fed.device)
    return statistics.median(float(torch.linalg.vector_norm(codec.encode(d))) for d in draws)


def _look(sim: Simulation, validation: list[Client], uplink: Uplink) -> dict:
    """The gate and the attack, on updates of validation clients, before any round."""
    pool = [client for client in validation if client.sequences][:HELD_OUT]
    updates = [sim.fed.update(c.sequences, [sim.seed, 8, i])[1] for i, c in enumerate(pool)]
    again = [sim.fed.update(c.sequences, [sim.seed, 9, i])[1] for i, c in enumerate(pool)]
    told = reconstruction(uplink.codec, updates)
    if told["label"] == "prior-only" and uplink.codec.latent > 0:
        sim.channel.warning(
            f"prior-only: what comes out of the codec says little about what went in (cosine {told['cosine']:.3f}, "
            f"to another client's update {told['shuffledCosine']:.3f})"
        )
    return {**told, **identified(uplink, updates, again)}
