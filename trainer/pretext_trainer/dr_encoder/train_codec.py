# The codec's training, on the server, on draws of the prior: no update of a client is ever seen. As a control it can be
# trained on updates from public texts instead, which cost nothing either.
import torch

from .autoencoder import train
from .codec import AutoEncoder, Codec, Pca, Standardised
from .prior import Prior
from .simulation import Simulation

PCA_IMAGES = 64


def trained(sim: Simulation, codec: Codec, prior: Prior | None, updates: list[torch.Tensor]) -> float | None:
    """Trains the codec where there is something to train, or finds it trained. Answers with the mean squared error over
    drawn images at the end, relative to their own square."""
    if prior is None or not isinstance(codec, Standardised):
        return None
    found = sim.kept.load("codec")
    if found is not None:
        codec.load({k: v.to(codec.device) for k, v in found[0].items()})
        return found[1]["error"]
    bank = updates if sim.job["autoencoder"]["trainOn"] == "public-updates" else None
    error = sim.meters.server(lambda: _train(sim, codec, prior, bank))
    sim.kept.save("codec", codec.weights(), {"error": error})
    return error


def _train(sim: Simulation, codec: Standardised, prior: Prior, bank: list[torch.Tensor] | None) -> float:
    generator = torch.Generator().manual_seed(sim.seed * 31 + 8)

    def draw(count: int) -> torch.Tensor:
        if bank is None:
            updates = list(prior.draw(codec.layout, count, generator))
        else:
            updates = [bank[i] for i in torch.randint(0, len(bank), (count,), generator=generator)]
        return torch.stack([codec.image(u.to(codec.device)) for u in updates])

    if isinstance(codec, Pca):
        codec.fit(draw(PCA_IMAGES))
        images = draw(PCA_IMAGES)
        back = torch.stack([codec.picture(codec.code(image)) for image in images])
        return float((back - images).square().sum() / images.square().sum())
    assert isinstance(codec, AutoEncoder)
    plan = sim.job["autoencoder"]

    def told(step: int, error: float) -> None:
        detail = f"relative error {error:.3f}"
        sim.channel.progress("auto-encoder", step, plan["steps"], "steps", detail, {"error": error})
        sim.stop_if_wanted()

    torch.manual_seed(sim.seed * 31 + 9)
    return train(
        codec.encoder,
        codec.decoder,
        draw,
        steps=plan["steps"],
        batch=plan["batch"],
        learning_rate=plan["learningRate"],
        told=told,
    )
