# DP-SGD by text, with Opacus: each text's gradient is bounded, so that what is proven holds for one text. A client with k of
# them is protected as a group; group_privacy.py says how little that may be.
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from pfl.internal.ops.pytorch_ops import get_default_device

from ..arm import noise_seeds
from ..channel import Channel
from ..checkpoints import Checkpoints
from ..failure import Failure
from ..step import padded
from ..stop import stop_wanted
from .averaging import seed_of
from .clients import Row, sequences_of_clients
from .cohorts import NO_LABEL, Schedule
from .group_privacy import group_measures
from .language_model import load, write
from .meter import Meter
from .validation import Looks, Validation
from .watch import noise_is

# Texts at once: each has a gradient of the model's size.
AT_ONCE = 16


class TextSteps:
    processes, first = 1, True

    def __init__(self, job: dict, channel: Channel, stage: str, texts: list[list[str]], held_out: list[Row]):
        self.job, self.channel, self.stage, self.total = job, channel, stage, job["steps"]
        if job["texts"] is None:
            raise Failure("config", "expected the texts of one client, at most (texts), with unit text: a client is protected as such a group")
        if job["clip"] is None:
            raise Failure("config", "expected a clip with unit text: Opacus bounds every text's gradient")
        self.device = get_default_device()
        self.model = load(job).to(self.device)
        own = sequences_of_clients(self.model.tokenizer, texts, job["sequenceTokens"], job["texts"], job["seed"])
        self.texts = [text for of_client in own for text in of_client]
        if not self.texts:
            raise Failure("data", "expected clients' texts of two tokens or more, got none")
        sampling = "all" if job["batch"] is None else "poisson"
        self.schedule = Schedule(sampling, len(self.texts), job["batch"] or len(self.texts), job["steps"], job["seed"])
        self.looks = Looks(Validation(self.model.tokenizer, held_out, job["sequenceTokens"]), job["keep"], channel, stage)
        self.meter = Meter()
        self.wrapped = GradSampleModule(self.model.network, batch_first=True, loss_reduction="mean")
        self.optimiser = DPOptimizer(
            self._inner([p for p in self.wrapped.parameters() if p.requires_grad]),
            noise_multiplier=job["noiseMultiplier"],
            max_grad_norm=job["clip"],
            expected_batch_size=self.schedule.cohort,
            generator=torch.Generator(self.device),
        )
        self.noise_seed = noise_seeds(job)
        self.releases: list[dict] = []
        self.done = 0

    def _inner(self, trained: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        if self.job["optimiser"] == "sgd":
            return torch.optim.SGD(trained, self.job["learningRate"], momentum=self.job["momentum"])
        return torch.optim.Adam(trained, self.job["learningRate"])

    @property
    def device_name(self) -> str:
        return str(self.device)

    def wait(self) -> None:
        pass

    def close(self) -> None:
        pass

    def restore(self, checkpoints: Checkpoints, path: Path, state: dict) -> None:
        checkpoints.restore(path, self.model, self.optimiser.original_optimizer)
        self.done, self.looks.history, self.releases = state["total"], state["history"], state["releases"]
        self.meter.restore(state["meter"])

    def run(self, checkpoints: Checkpoints, settings: dict) -> None:
        self._checkpoints = checkpoints
        if self.done == 0:
            self.looks.look(0, self.model, self.device, checkpoints)
        while self.done < self.total:
            self.meter.client_begins()
            self.step()
            self.meter.client_ends(1, 0)
            last, every = self.done == self.total, self.job["validateSteps"]
            if last or (every is not None and self.done % every == 0):
                self.looks.look(self.done, self.model, self.device, checkpoints)
            self.channel.progress(self.stage, self.done, self.total, "steps")
            stopping = stop_wanted()
            if last or stopping or self.done % self.job["checkpointSteps"] == 0:
                state = {"settings": settings, "total": self.done, "history": self.looks.history, "releases": self.releases}
                state["meter"] = self.meter.state()
                path = checkpoints.save(self.model, self.optimiser.original_optimizer, state)
                self.channel.send("checkpoint", stage=self.stage, step=self.done, path=str(path))
            if stopping:
                return

    def step(self) -> None:
        drawn = self.schedule.draw(self.done)
        torch.manual_seed(seed_of(self.job["seed"], 5, self.done))
        sums = self.clipped_sum([self.texts[i] for i in drawn])
        self.optimiser.generator.manual_seed(self.noise_seed(self.done))
        for parameter, value in zip(self.optimiser.params, sums):
            parameter.summed_grad = value.clone()
        self.optimiser.add_noise()
        measured = noise_is(
            [p.grad - value for p, value in zip(self.optimiser.params, sums)], sums, self._sigma(), "a step's sum of gradients"
        )
        for parameter in self.optimiser.params:
            # A constant, because the real number of a Poisson draw is itself private.
            parameter.grad /= self.optimiser.expected_batch_size
        self.optimiser.original_optimizer.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.releases.append({"measured": measured, "drawn": len(drawn)})
        self.done += 1

    def clipped_sum(self, texts: list[np.ndarray]) -> list[torch.Tensor]:
        """The sum of the texts' gradients, each bounded; zeros where no text was drawn."""
        sums = [torch.zeros_like(p) for p in self.optimiser.params]
        for start in range(0, len(texts), AT_ONCE):
            ids, labels = padded(texts[start : start + AT_ONCE], self.device)
            logits = self.wrapped(input_ids=ids, use_cache=False).logits[:, :-1].float()
            losses = F.cross_entropy(logits.transpose(1, 2), labels[:, 1:], reduction="none", ignore_index=NO_LABEL)
            (losses.sum(dim=1) / (labels[:, 1:] != NO_LABEL).sum(dim=1)).mean().backward()
            self.optimiser.clip_and_accumulate()
            found = torch.stack([p.summed_grad.double().square().sum() for p in self.optimiser.params]).sum().sqrt()
            if not found <= len(ids) * self.optimiser.max_grad_norm * (1 + 1e-6):
                raise Failure("unexpected", f"{len(ids)} bounded gradients have a sum of norm {float(found):g}: the bound did not hold")
            for value, parameter in zip(sums, self.optimiser.params):
                value += parameter.summed_grad
                parameter.summed_grad = None
            self.optimiser.zero_grad(set_to_none=True)
        return sums

    def _sigma(self) -> float:
        return self.optimiser.noise_multiplier * self.optimiser.max_grad_norm

    def result(self, folder: Path) -> dict:
        kept = self.looks.kept(self.model, self._checkpoints)
        mechanism = {
            "sigma": self._sigma(),
            "clip": self.optimiser.max_grad_norm,
            "releases": len(self.releases),
            "cohort": self.optimiser.expected_batch_size,
            "clients": len(self.texts),
            "sampling": self.schedule.sampling,
            "contributions": "signed",
            "maxParticipations": len(self.releases),
            "drawn": [r["drawn"] for r in self.releases],
            "unit": "text",
            # What was enforced, not the largest number that somebody had.
            "textsPerClient": self.job["texts"],
            "note": "cohort, clients and draws are counts of texts",
        }
        self.meter.spent.participations = len(self.releases)
        measures = {
            **group_measures(mechanism, self.job["delta"], self.job["adjacency"]),
            "keptRound": kept["round"],
            "validation": self.looks.history,
            "measuredSigma": float(np.sqrt(np.mean([r["measured"] ** 2 for r in self.releases]))),
            "trainedParameters": sum(p.numel() for p in self.optimiser.params),
            "texts": len(self.texts),
            "noiseSource": "seeded 32-bit floats: a simulation, nothing to release",
        }
        self.wrapped.remove_hooks()
        write(self.model, folder)
        return {
            "model": str(folder),
            "mechanisms": [mechanism],
            "meters": self.meter.told(self.done),
            "validation": self.looks.told(kept),
            "measures": measures,
        }
