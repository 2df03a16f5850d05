# The rounds of a federated run: pfl's parts put together from a job, and what happens between two rounds (a look at the
# validation clients, a checkpoint, a stop).
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.callback.base import TrainingProcessCallback
from pfl.hyperparam import NNTrainHyperParams
from pfl.internal.ops.pytorch_ops import get_default_device
from pfl.internal.ops.selector import get_default_framework_module as get_ops
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel

from ..arm import noise_seeds
from ..channel import Channel
from ..checkpoints import Checkpoints
from ..failure import Failure
from ..stop import stop_wanted
from .averaging import Averaging
from .clients import Row, sequences_of_clients
from .cohorts import Cohorts, Schedule
from .language_model import load, write
from .meter import Meter, flops_of, message_bytes
from .noise import Noise
from .side_by_side import SideBySide, width_on
from .validation import Looks, Validation
from .watch import Watch


class Rounds(TrainingProcessCallback):
    def __init__(self, job: dict, channel: Channel, stage: str, texts: list[list[str]], held_out: list[Row]):
        self.job, self.channel, self.stage = job, channel, stage
        self.total = job["rounds"]
        client = job["client"]
        if client["steps"] is not None and client["epochs"] != 1:
            raise Failure("config", "expected client.epochs or client.steps, got both", "steps are those of one pass at most")
        sampling, cohort = job["sampling"], job["cohort"]
        if sampling == "all" and cohort not in (None, len(texts)):
            raise Failure("config", f'expected no cohort with sampling "all", got {cohort} of {len(texts)} clients')
        self.schedule = Schedule(sampling, len(texts), cohort or len(texts), job["rounds"], job["seed"], job.get("period"))
        self.model = load(job)
        tokenizer = self.model.tokenizer
        frozen = {n: p for n, p in self.model.named_parameters() if not p.requires_grad}
        self.base_bytes = message_bytes(frozen or self.model.trained())
        sequences = sequences_of_clients(tokenizer, texts, job["sequenceTokens"], client["texts"], job["seed"])
        if not any(sequences):
            raise Failure("data", "expected clients' texts of two tokens or more, got none")
        self.texts = sum(len(s) for s in sequences)
        self.cohorts = Cohorts(self.schedule, sequences, tokenizer.pad_token_id or 0)
        self.noise = Noise(job, self.schedule)
        self.noise_seed = noise_seeds(job)
        self.meter = Meter()
        self.watch = Watch(self.noise, self.cohorts, self.meter)
        self.looks = Looks(Validation(tokenizer, held_out, job["sequenceTokens"]), job["keep"], channel, stage)
        self.device = get_default_device()
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        self.pfl_model = PyTorchModel(self.model, local_optimizer_create=_sgd, central_optimizer=self._server())
        self.dimension = sum(p.numel() for p in self.model.trained().values())
        self.flops_per_token = self._count(sequences)
        weights = sum(p.numel() for p in self.model.parameters())
        self.beside = SideBySide(self.model, width_on(self.device, weights), channel.note)
        self.done = 0
        self._begun = 0.0

    def _server(self) -> torch.optim.Optimizer:
        server, trained = self.job["server"], list(self.model.trained().values())
        if server["optimiser"] == "sgd":
            return torch.optim.SGD(trained, server["learningRate"], momentum=server["momentum"])
        return torch.optim.Adam(trained, server["learningRate"], (server["beta1"], server["beta2"]), server["epsilon"])

    def _count(self, sequences: list[list[np.ndarray]]) -> float:
        """Operations for each place of a token, on a real step of the first client that has texts."""
        own = next(s for s in sequences if s)[: self.job["client"]["batch"]]
        length = max(len(s) for s in own)
        ids = torch.zeros((len(own), length), dtype=torch.long, device=self.device)
        flops = flops_of(partial(self.model.loss, ids, ids))
        self.model.zero_grad()
        return flops / ids.numel()

    @property
    def first(self) -> bool:
        return get_ops().distributed.global_rank == 0

    @property
    def processes(self) -> int:
        return get_ops().distributed.world_size

    @property
    def device_name(self) -> str:
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"CPU ({torch.get_num_threads()} threads)" if self.device.type == "cpu" else self.device.type

    def wait(self) -> None:
        get_ops().distributed.all_reduce([torch.zeros(1, device=self.device)])

    def close(self) -> None:
        if self.processes > 1:
            self.wait()
            torch.distributed.destroy_process_group()

    def run(self, checkpoints: Checkpoints, settings: dict) -> None:
        self._checkpoints, self._settings = checkpoints, settings
        client = self.job["client"]
        if self.done == 0:
            self._look()
        algorithm = Averaging(self.job["seed"], self.noise_seed, self.meter, self.flops_per_token, self.done, self.cohorts, self.beside)
        backend = SimulatedBackend(self.cohorts, self.cohorts, postprocessors=self.watch.postprocessors)
        self._begin()
        algorithm.run(
            NNAlgorithmParams(
                central_num_iterations=self.total,
                evaluation_frequency=self.total + 1,
                train_cohort_size=self.schedule.cohort,
                val_cohort_size=None,
            ),
            backend,
            self.pfl_model,
            NNTrainHyperParams(
                local_batch_size=client["batch"],
                local_num_epochs=None if client["steps"] is not None else client["epochs"],
                local_num_steps=client["steps"],
                local_learning_rate=client["learningRate"],
                local_max_grad_norm=client["gradientNorm"],
            ),
            callbacks=[self],
            send_metrics_to_platform=False,
        )

    def _begin(self) -> None:
        self._begun = time.process_time() - self.meter.played

    def after_central_iteration(self, aggregate_metrics, model, *, central_iteration: int):
        spent = self.meter.spent
        # What the server's process did besides playing the clients.
        spent.server_cpu += time.process_time() - self.meter.played - self._begun
        spent.participations = int(self.cohorts.participations.sum()) if self.first else 0
        self.done = central_iteration + 1
        last = self.done == self.total
        every = self.job["validateRounds"]
        if last or (every is not None and self.done % every == 0):
            self._look()
        self.channel.progress(self.stage, self.done, self.total, "rounds", values={"noise": self.watch.releases[-1]["sigma"]})
        stopping = self._anyone(stop_wanted())
        if last or stopping or self.done % self.job["checkpointRounds"] == 0:
            self._save()
        self._begin()
        return stopping, Metrics()

    def _anyone(self, flag: bool) -> bool:
        (total,) = get_ops().distributed.all_reduce([torch.tensor([float(flag)], device=self.device)])
        return float(total) > 0

    def _look(self) -> None:
        self.looks.look(self.done, self.model, self.device, self._checkpoints)

    def _save(self) -> None:
        self.meter.gather()
        if self.first:
            state = {
                "settings": self._settings,
                "total": self.done,
                "meter": self.meter.state(),
                "noise": self.noise.state(),
                "releases": self.watch.releases,
                "participations": self.cohorts.participations.tolist(),
                "drawn": self.cohorts.drawn,
                "history": self.looks.history,
            }
            path = self._checkpoints.save(self.model, self.pfl_model._central_optimizer, state)
            self.channel.send("checkpoint", stage=self.stage, step=self.done, path=str(path))
        self.wait()

    def restore(self, checkpoints: Checkpoints, path: Path, state: dict) -> None:
        checkpoints.restore(path, self.model, self.pfl_model._central_optimizer)
        self.done = self.cohorts.round = state["total"]
        if self.first:
            self.meter.restore(state["meter"])
        self.watch.releases, self.looks.history = state["releases"], state["history"]
        self.cohorts.participations = np.array(state["participations"], dtype=np.int64)
        self.cohorts.drawn = state["drawn"]
        self.noise.restore(state["noise"], self.done, self.dimension, self.noise_seed)

    def result(self, folder: Path) -> dict:
        kept = self.looks.kept(self.model, self._checkpoints)
        meters = self.meter.told(self.done)
        if self.first:
            write(self.model, folder)
        return {
            "model": str(folder),
            "mechanisms": self.watch.mechanisms(),
            "meters": meters,
            "validation": self.looks.told(kept),
            "measures": {
                "keptRound": kept["round"],
                "validation": self.looks.history,
                "rounds": [
                    {
                        "round": i + 1,
                        "sigma": r["sigma"],
                        "measuredSigma": r["measured"],
                        "clip": r["parts"][0]["clip"],
                        "drawn": r["drawn"],
                    }
                    for i, r in enumerate(self.watch.releases)
                ],
                "trainedParameters": self.dimension,
                "texts": self.texts,
                # The start itself, which a device needs once where only adapters travel in the rounds.
                "startBytes": self.base_bytes,
                "clientStepsPerRound": self.meter.spent.steps / max(1, meters["participations"]),
                "clientSecondsPerRound": self.meter.spent.client_seconds / max(1, meters["participations"]),
                # Where clients train side by side, those that were timed alone stand for the others, step by step.
                "clientsSideBySide": self.beside.width,
                "clientsTimed": self.meter.spent.timed,
                "device": self.device_name,
                "processes": self.processes,
                "noiseSource": "seeded 32-bit floats: a simulation, nothing to release",
            },
        }


def _sgd(parameters, lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([p for p in parameters if p.requires_grad], lr)
