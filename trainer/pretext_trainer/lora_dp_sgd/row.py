# The training of one row of the table: LoRA in one of its forms, full training of the same matrices, or DP-SGD on LoRA's B.
# All of them take the same steps: a cohort by secret coins, the mean over its clients of each client's mean gradient.
#
#   dp           A frozen, drawn from a public seed; each client's dL/dB held to C; N(0, sigma^2 C^2) on the sum; then mean
#                (FFA-LoRA). Epsilon does not depend on the rank.
#   lora         A frozen, no noise, no bound: the paper's claim
#   orthonormal  the same with orthonormal rows
#   lora-both    A trained too, as everybody does
#   flora        a new A for every step, merged after it
#   full         W itself
#   full-noise   W with Gaussian noise of the variance that LoRA's would have
import time
from dataclasses import dataclass, field

import torch
from torch import nn

from ..arm import noise_seeds
from ..failure import Failure
from ..fedlpp.clients import Client, draw
from ..step import padded
from .noise import noise_variance
from .sketch import Sketched, draw_a, projections, sketch, unsketch

METHODS = ("dp", "lora", "orthonormal", "lora-both", "flora", "full", "full-noise")
SGD_ALONE = ("flora", "full-noise")


@dataclass
class Seen:
    """What a training really did."""

    steps: int = 0
    drawn: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    sigma: float | None = None
    largest: float = 0.0
    seconds: float = 0.0


class RowTraining:
    """Steps of one row on a model that is changed in place. `settings`: method, rank, optimiser, learningRate, and for dp
    clip and noiseMultiplier (0 and an infinite clip are for tests: a job asks for neither)."""

    def __init__(self, model: nn.Module, clients: list[Client], cohort: int, settings: dict, job: dict):
        self.model, self.clients, self.cohort, self.settings, self.job = model, clients, cohort, settings, job
        self._noise_seed = noise_seeds(job)
        self.method, self.rank = settings["method"], settings["rank"]
        self.device = next(model.parameters()).device
        self.seen = Seen(taken=[0] * len(clients))
        self.layers: dict[str, Sketched] = {}
        if self.method not in METHODS:
            raise Failure("config", f"expected a method out of {', '.join(METHODS)}, got another")
        if self.method in SGD_ALONE and settings["optimiser"] != "sgd":
            raise Failure("config", f"{self.method}: expected the optimiser sgd, got {settings['optimiser']}")
        if self.method in ("full", "full-noise"):
            for parameter in model.parameters():
                parameter.requires_grad_(False)
            for layer in projections(model).values():
                layer.weight.requires_grad_(True)
        else:
            init = "orthonormal" if self.method == "orthonormal" else "gaussian"
            self.layers = sketch(model, self.rank, init, job["seed"])
            for layer in self.layers.values():
                layer.up.weight.requires_grad_(True)
                layer.down.weight.requires_grad_(self.method == "lora-both")
        self.trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        kind = torch.optim.SGD if settings["optimiser"] == "sgd" else torch.optim.AdamW
        self.optimiser = kind(self.trained.values(), lr=settings["learningRate"], weight_decay=0.0)
        # Opacus keeps the gradient of each text apart, in training mode alone; the models have no dropout.
        self._hooks = [_each_text(layer.up) for layer in self.layers.values()] if self.method == "dp" else []
        model.train()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=ids, use_cache=False).logits

    def step(self) -> None:
        seen = self.seen
        chosen = draw(len(self.clients), self.cohort, self.job["sampling"], self.job["seed"], seen.steps)
        began = time.process_time()
        self._gradients(chosen)
        self.optimiser.step()
        if self.method == "flora":
            for place, layer in enumerate(self.layers.values()):
                layer.merge()
                layer.set_a(draw_a("gaussian", self.rank, layer.down.in_features, [self.job["seed"], 21, place, seen.steps + 1]))
        seen.seconds += time.process_time() - began
        seen.drawn.append(len(chosen))
        for client in chosen:
            seen.taken[client] += 1
        seen.steps += 1

    def _gradients(self, chosen: list[int]) -> None:
        chosen = [client for client in chosen if self.clients[client].sequences]
        sums = self._bounded_sums(chosen) if self.method == "dp" else self._sums(chosen)
        if self.method == "dp":
            self._add_noise(sums)
        for name, parameter in self.trained.items():
            # By the expected size: the size that was drawn is not released.
            parameter.grad = sums[name] / self.cohort
        if self.method == "full-noise":
            generator = self._generator()
            for parameter in self.trained.values():
                g = parameter.grad
                noise = torch.randn(g.shape, generator=generator, device=g.device)
                parameter.grad = g + noise * noise_variance(g, self.rank).sqrt()

    def _chunks(self, chosen: list[int]):
        """Clients together whose texts fill one micro batch."""
        chunk: list[int] = []
        size = 0
        for client in chosen:
            own = len(self.clients[client].sequences)
            if chunk and size + own > self.job["microBatch"]:
                yield chunk
                chunk, size = [], 0
            chunk.append(client)
            size += own
        if chunk:
            yield chunk

    def _loss(self, chunk: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """(the sum of the clients' mean losses, the client of each text)."""
        owner = [c for c in chunk for _ in self.clients[c].sequences]
        ids, labels = padded([s for c in chunk for s in self.clients[c].sequences], self.device)
        tokens = {c: sum(len(s) - 1 for s in self.clients[c].sequences) for c in chunk}
        weights = torch.tensor([1 / tokens[c] for c in owner], device=self.device)
        logits = self.forward(ids)[:, :-1].float()
        losses = nn.functional.cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=-100, reduction="none")
        places = torch.tensor([chunk.index(c) for c in owner], device=self.device)
        return (losses.sum(dim=1) * weights).sum(), places

    def _sums(self, chosen: list[int]) -> dict[str, torch.Tensor]:
        self.optimiser.zero_grad(set_to_none=False)
        for chunk in self._chunks(chosen):
            self._loss(chunk)[0].backward()
        return {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in self.trained.items()}

    def _bounded_sums(self, chosen: list[int]) -> dict[str, torch.Tensor]:
        clip = self.settings["clip"]
        sums = {n: torch.zeros_like(p) for n, p in self.trained.items()}
        for chunk in self._chunks(chosen):
            loss, places = self._loss(chunk)
            loss.backward()
            each = {}
            for name, parameter in self.trained.items():
                texts = parameter.grad_sample
                own = torch.zeros((len(chunk), *parameter.shape), device=self.device)
                each[name] = own.index_add_(0, places, texts)
                parameter.grad_sample = parameter.grad = None
            norms = torch.stack([v.flatten(1).double().square().sum(dim=1) for v in each.values()]).sum(dim=0).sqrt()
            # A client whose gradient is no number contributes nothing.
            factors = torch.where(torch.isfinite(norms), (clip / norms.clamp(min=1e-30)).clamp(max=1.0), 0.0)
            for name, value in each.items():
                held = torch.nan_to_num(value) * factors.float().view(-1, *[1] * (value.ndim - 1))
                each[name] = held
                sums[name] += held.sum(dim=0)
            after = torch.stack([v.flatten(1).double().square().sum(dim=1) for v in each.values()]).sum(dim=0).sqrt()
            self.seen.largest = max(self.seen.largest, float(after.max()))
            if self.seen.largest > clip * (1 + 1e-5):
                raise Failure("unexpected", "a contribution is larger than its bound")
        return sums

    def _add_noise(self, sums: dict[str, torch.Tensor]) -> None:
        sigma = self.settings["noiseMultiplier"] * self.settings["clip"] if self.settings["noiseMultiplier"] else 0.0
        if sigma == 0:
            self.seen.sigma = 0.0
            return
        generator, added, count = self._generator(), 0.0, 0
        for name, value in sums.items():
            noised = value + torch.randn(value.shape, generator=generator, device=value.device) * sigma
            added += float((noised.double() - value.double()).square().sum())
            count += value.numel()
            sums[name] = noised
        found = (added / count) ** 0.5
        # Six standard errors: chance alone does not do that in a billion steps.
        if abs(found / sigma - 1) > 6 / (2 * count) ** 0.5:
            raise Failure("unexpected", f"the noise on a sum has a deviation of {found:.6g} where {sigma:.6g} was meant")
        self.seen.sigma = sigma if self.seen.sigma is None else min(self.seen.sigma, sigma)

    def _generator(self) -> torch.Generator:
        seed = self._noise_seed(self.settings, self.seen.steps)
        return torch.Generator(device=self.device).manual_seed(seed)

    def moved(self) -> dict[str, torch.Tensor]:
        """What changes beside what the optimiser holds: flora merges into the layers and draws A anew."""
        if self.method != "flora":
            return {}
        return {n: p for n, p in self.model.named_parameters() if n.endswith((".base.weight", ".down.weight"))}

    def end(self) -> None:
        """The model as a plain one again, with what was learned in its weights."""
        for hooks in self._hooks:
            hooks.remove_hooks()
        unsketch(self.model, self.layers)


def _each_text(layer: nn.Module):
    from opacus.grad_sample.grad_sample_module import GradSampleHooks

    return GradSampleHooks(layer, loss_reduction="sum")
