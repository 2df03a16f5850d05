# One stage of a training: epochs over texts in a seeded order, a look at held-out texts after each, and the end when they
# stop getting better. The best epoch is kept, by held-out *training* texts: evaluation texts decide nothing here.
import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from .channel import Channel
from .checkpoints import Checkpoints
from .failure import Failure
from .place import Place
from .step import Stepper, loss_sum, memory_ran_out, predicted_tokens
from .stop import stop_wanted, stopped

PROGRESS_SECONDS = 0.5


@dataclass
class Sequences:
    """What a stage learns from."""

    train: list[np.ndarray]
    held_out: list[np.ndarray]
    texts: int
    held_out_texts: int


@dataclass
class Stage:
    """The place in a stage: everything that a checkpoint must say besides weights and optimiser."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    micro: int = 0
    epoch_loss: float = 0.0
    epoch_tokens: int = 0
    before: float | None = None
    best: float | None = None
    best_epoch: float | None = None
    history: list[dict] = field(default_factory=list)
    ended: bool = False


def learning_rate(plan: dict, step: int, steps: int) -> float:
    # A short training is not all warm-up.
    peak, warm = plan["learningRate"], min(plan["warmupSteps"], steps // 10)
    if step < warm:
        return peak * (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    if plan["schedule"] == "linear":
        return peak * max(0.0, 1 - done)
    if plan["schedule"] == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return peak


def new_optimiser(model: nn.Module, plan: dict, device: torch.device) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    # Norms and biases are not pulled toward zero.
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": plan["weightDecay"]},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=plan["learningRate"], fused=device.type == "cuda")


class Learner:
    def __init__(
        self,
        *,
        index: int,
        plan: dict,
        seed: int,
        sequences: Sequences,
        model: nn.Module,
        place: Place,
        channel: Channel,
        checkpoints: Checkpoints,
        save_steps: int | None,
        save_seconds: float,
        outer: dict,
    ):
        self.index, self.plan, self.seed, self.data = index, plan, seed, sequences
        self.model, self.place, self.channel, self.checkpoints = model, place, channel, checkpoints
        self.save_steps, self.save_seconds = save_steps, save_seconds
        # What the checkpoint says of the stages before this one.
        self.outer = outer
        self.stage = Stage(micro=plan["microBatch"])
        self.optimiser = new_optimiser(model, plan, place.device)
        self.per_epoch = math.ceil(len(sequences.train) / plan["batch"])
        self.steps = self.per_epoch * plan["epochs"]
        if plan.get("maxSteps") is not None:
            self.steps = min(self.steps, plan["maxSteps"])
        self._saved_at = time.monotonic()

    def _forward(self, ids: torch.Tensor) -> torch.Tensor:
        with self.place.arithmetic():
            return self.model(input_ids=ids, use_cache=False).logits

    def run(self) -> Stage:
        stage, plan, place = self.stage, self.plan, self.place
        self._cpu_at = time.process_time()
        stepper = Stepper(
            self.model, self._forward, place.device, stage.micro, place.any_process, place.sum_gradients, self.channel.warning
        )
        if stage.before is None:
            stage.before = self._held_out_loss()
            if stage.before is not None:
                self.channel.metric(plan["name"], "validationLoss", stage.before, step=0, epoch=0.0)
        self.model.train()
        # Sums of this process's part of the loss: since the last line of progress, and since the epoch began or was saved.
        recent, running = torch.zeros((), device=place.device), torch.zeros((), device=place.device)
        shown_at, shown_tokens, shown_steps = time.monotonic(), 0, 0
        self._progress(None, None)
        while stage.step < self.steps and not stage.ended:
            began = time.monotonic()
            order = np.random.default_rng([self.seed, self.index, 2, stage.step // self.per_epoch])
            permutation = order.permutation(len(self.data.train))
            within = stage.step % self.per_epoch
            picked = permutation[within * plan["batch"] : (within + 1) * plan["batch"]]
            batch = [self.data.train[i] for i in picked]
            tokens = predicted_tokens(batch)
            # Dropout follows from the place too, so that a resumed training draws the same.
            torch.manual_seed(self.seed * 1_000_003 + self.index * 500_009 + stage.step * 97 + place.rank)
            loss = stepper.gradients(batch[place.rank :: place.processes], tokens)
            torch.nn.utils.clip_grad_norm_([p for p in self.model.parameters() if p.requires_grad], plan["clipNorm"])
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate(plan, stage.step, self.steps)
            self.optimiser.step()
            recent += loss * tokens
            running += loss * tokens
            stage.step += 1
            stage.tokens += tokens
            stage.epoch_tokens += tokens
            stage.micro = stepper.micro
            shown_tokens, shown_steps = shown_tokens + tokens, shown_steps + 1
            now = time.monotonic()
            epoch_ends = stage.step % self.per_epoch == 0 or stage.step == self.steps
            if now - shown_at > PROGRESS_SECONDS or epoch_ends:
                # Read here only: reading waits for the device.
                mean = float(recent) * place.processes / max(1, shown_tokens)
                if not math.isfinite(mean):
                    raise Failure(
                        "config",
                        f"the loss is no longer a number (step {stage.step} of {plan['name']})",
                        f"use a smaller learning rate than {plan['learningRate']}",
                    )
                rate = shown_tokens / max(1e-9, now - shown_at)
                self._progress(mean, rate, (self.steps - stage.step) * (now - shown_at) / shown_steps)
                recent.zero_()
                shown_at, shown_tokens, shown_steps = now, 0, 0
            stage.seconds += time.monotonic() - began
            stopping = place.any_process(stop_wanted())
            saving = stopping or self._due()
            if epoch_ends or saving:
                stage.epoch_loss += float(place.sum(running))
                running.zero_()
            if epoch_ends:
                self._end_epoch()
                self.model.train()
                shown_at = time.monotonic()
            if saving:
                self.save()
            if stopping:
                raise stopped()
        if stage.best is not None:
            self.checkpoints.restore_best(self.model, self.index)
        self._count_cpu()
        return stage

    def _progress(self, loss: float | None, rate: float | None, left: float | None = None) -> None:
        values = {k: v for k, v in (("loss", loss), ("tokensPerSecond", rate), ("secondsLeft", left)) if v is not None}
        values["epoch"] = self.stage.step / self.per_epoch
        values["epochs"] = self.steps / self.per_epoch
        self.channel.progress(self.plan["name"], self.stage.step, self.steps, "steps", values=values)

    def _end_epoch(self) -> None:
        stage, plan = self.stage, self.plan
        epoch = stage.step / self.per_epoch
        train = stage.epoch_loss / max(1, stage.epoch_tokens)
        stage.epoch_loss, stage.epoch_tokens = 0.0, 0
        held_out = self._held_out_loss()
        stage.history.append({"epoch": epoch, "trainLoss": train, "validationLoss": held_out})
        self.channel.metric(plan["name"], "trainLoss", train, step=stage.step, epoch=epoch)
        if held_out is None:
            return
        self.channel.metric(plan["name"], "validationLoss", held_out, step=stage.step, epoch=epoch)
        if stage.best is None or held_out < stage.best:
            stage.best, stage.best_epoch = held_out, epoch
            if self.place.first:
                self.checkpoints.save_best(self.model, self.index)
            self.place.wait()
        elif plan["patience"] > 0:
            since = sum(1 for h in stage.history if stage.best_epoch is not None and h["epoch"] > stage.best_epoch)
            stage.ended = since >= plan["patience"] and stage.step < self.steps

    def _held_out_loss(self) -> float | None:
        if not self.data.held_out:
            return None
        self.model.eval()
        size = self.stage.micro
        while True:
            try:
                with torch.no_grad():
                    total = sum(
                        float(loss_sum(self._forward, self.data.held_out[start : start + size], self.place.device))
                        for start in range(0, len(self.data.held_out), size)
                    )
                return self.place.agreed(total / predicted_tokens(self.data.held_out))
            except RuntimeError as error:
                if not memory_ran_out(error) or size == 1:
                    raise
            size //= 2

    def _due(self) -> bool:
        if self.save_steps is not None:
            return self.stage.step % self.save_steps == 0
        return self.place.any_process(time.monotonic() - self._saved_at >= self.save_seconds)

    def _count_cpu(self) -> None:
        """Adds what all processes spent since the last count. A checkpoint holds the sum, so that a stop loses none of it."""
        now = time.process_time()
        self.stage.cpu += float(self.place.sum(torch.tensor(now - self._cpu_at, device=self.place.device)))
        self._cpu_at = now

    def save(self) -> None:
        self._count_cpu()
        if self.place.first:
            total = self.outer["stepsBefore"] + self.stage.step
            path = self.checkpoints.save(
                self.model, self.optimiser, {**self.outer, "index": self.index, "total": total, "stage": vars(self.stage)}
            )
            self.channel.send("checkpoint", stage=self.plan["name"], step=self.stage.step, path=str(path))
        self.place.wait()
        self._saved_at = time.monotonic()
