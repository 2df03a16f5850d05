# One FedLPP training on Apple's pfl simulator (arXiv 2406.10976, section 3). A round:
#
#   D = Q(Theta)                          the server delivers a quantised adapter and keeps the exact one
#   delta_i = train(W0 + D, own texts) - D      each client of the cohort
#   Delta = (sum of clip(delta_i, C) + N(0, sigma^2 C^2)) / cohort
#   Theta <- Theta + rate x Delta         "keep"; three other rules that are in public code stand beside it
#
# Q acts on what was released already, so it costs no privacy; what one client can change is one clipped delta of a sum.
# The sum is divided by the size that a cohort is expected to have: the size that was drawn is not released.
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.common_types import Population
from pfl.context import CentralContext
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDatasetBase
from pfl.hyperparam import NNTrainHyperParams
from pfl.internal.bridge import FrameworkBridgeFactory as bridges
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel
from pfl.privacy.gaussian_mechanism import GaussianMechanism
from pfl.privacy.privacy_mechanism import CentrallyAppliedPrivacyMechanism
from pfl.stats import MappedVectorStatistics
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..arm import noise_seeds
from ..failure import Failure
from ..step import padded
from .adapter import load, trained
from .clients import Client, draw
from .quantise import WHOLE, Adapter, decode, encode

SCALE = np.dtype(np.float16)


class NextToken(nn.Module):
    """The model as pfl trains it: the mean cross-entropy of the next token."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def loss(self, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits = self.model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        return nn.functional.cross_entropy(logits.transpose(1, 2), labels[:, 1:], ignore_index=-100)

    def metrics(self, ids: torch.Tensor, labels: torch.Tensor) -> dict:
        raise NotImplementedError("validation is measured outside of pfl")


class Cohorts(FederatedDatasetBase):
    """Gives pfl the cohort of the round; each client's texts in an order of that round."""

    def __init__(self, clients: list[Client], seed: int, device: torch.device):
        super().__init__()
        self._clients, self._seed, self._device = clients, seed, device
        self.round, self.cohort = 0, list[int]()

    def dataset(self, place: int, round_: int) -> Dataset:
        own = self._clients[place]
        order = np.random.default_rng([self._seed, 13, round_, place]).permutation(len(own.sequences))
        return Dataset(padded([own.sequences[i] for i in order], self._device))

    def tokens(self, place: int) -> int:
        return sum(len(s) for s in self._clients[place].sequences)

    def get_cohort(self, cohort_size: int):
        for place in self.cohort:
            if self._clients[place].sequences:
                yield self.dataset(place, self.round), 1

    def __next__(self):
        raise NotImplementedError("cohorts are drawn as a whole")


class WatchedGaussian(GaussianMechanism):
    """pfl's mechanism; what it does to each contribution and sum is measured."""

    def __init__(self, clip: float, noise_multiplier: float):
        super().__init__(clip, noise_multiplier)
        self.largest_norm, self.sigma, self.contributions = 0.0, float("inf"), 0

    def seen(self) -> dict:
        return {"largest_norm": self.largest_norm, "sigma": self.sigma, "contributions": self.contributions}

    def constrain_sensitivity(self, statistics, name_formatting_fn=str, seed=None):
        # A norm that is no number would pass pfl's comparison.
        if not all(bool(torch.isfinite(v).all()) for v in statistics.values()):
            statistics = statistics.apply_elementwise(torch.zeros_like)
        held, _ = super().constrain_sensitivity(statistics, name_formatting_fn, seed)
        norm = float(torch.sqrt(sum(v.double().square().sum() for v in held.values())))
        if norm > self.clipping_bound * (1 + 1e-5):
            raise Failure("unexpected", "a contribution is larger than its bound")
        self.largest_norm = max(self.largest_norm, norm)
        self.contributions += 1
        return held, Metrics()

    def add_noise(self, statistics, cohort_size, name_formatting_fn=str, seed=None):
        before = {k: v.detach().double().clone() for k, v in statistics.items()}
        noised, _ = super().add_noise(statistics, cohort_size, seed=seed)
        added = torch.cat([(noised[k].double() - before[k]).reshape(-1) for k in before])
        found, meant = float(added.square().mean().sqrt()), self.clipping_bound * self.relative_noise_stddev
        # Six standard errors: a training of a million releases would not meet one by chance.
        if abs(found / meant - 1) > 6 / (2 * added.numel()) ** 0.5:
            raise Failure("unexpected", f"the noise on a sum has a deviation of {found:.6g} where {meant:.6g} was meant")
        self.sigma = min(self.sigma, meant)
        return noised, Metrics()


@dataclass
class Meters:
    rounds: int = 0
    participations: int = 0
    bytes_down: int = 0
    bytes_up: int = 0
    client_seconds: float = 0.0
    server_seconds: float = 0.0
    # Of those whose operations were counted.
    flops: float = 0.0
    flops_tokens: int = 0
    tokens: int = 0
    drawn: list[int] = field(default_factory=list)
    # Rounds that each client took part in.
    taken: list[int] = field(default_factory=list)


class FedLPP(FederatedAveraging):
    """Federated averaging whose clients begin at what was delivered."""

    def __init__(self, rule: str, rate: float, rounds: int, meters: Meters):
        super().__init__()
        self._rule, self._rate, self._rounds, self._meters = rule, rate, rounds, meters
        self.delivered: Adapter = {}

    def simulate_one_user(self, model, user_dataset, central_context):
        exact = model.get_parameters()
        model.set_parameters(self.delivered)
        began = time.process_time()
        delta, metrics = super().simulate_one_user(model, user_dataset, central_context)
        self._meters.client_seconds += time.process_time() - began
        self._meters.bytes_up += len(encode(dict(delta.items()), WHOLE, 0, SCALE))
        model.set_parameters(exact)
        return delta, metrics

    def process_aggregated_statistics(self, central_context, aggregate_metrics, model, statistics):
        statistics.weight = central_context.cohort_size
        statistics.average()
        if self._rule == "overwrite":
            model.set_parameters(self.delivered)
        elif self._rule in ("pull", "pull-decay"):
            # mean Theta_i - Theta = Delta + D - Theta
            for name, exact in model.variable_map.items():
                statistics[name] = statistics[name] + (self.delivered[name] - exact.detach())
        decay = 1 - central_context.current_central_iteration / self._rounds if self._rule == "pull-decay" else 1.0
        model._central_optimizer.param_groups[0]["lr"] = self._rate * decay
        return model.apply_model_update(statistics)


class Training:
    """The rounds of one training; `step` runs the next one. What it holds between rounds: `theta` and `meters`."""

    def __init__(self, model: nn.Module, clients: list[Client], cohort: int, bits: int, job: dict):
        self._job, self.bits, self._cohort, self._count = job, bits, cohort, len(clients)
        self._noise_seed = noise_seeds(job)
        self.model, self.meters, self.round = model, Meters(taken=[0] * len(clients)), 0
        self.cohorts = Cohorts(clients, job["seed"], next(model.parameters()).device)
        wrapped = NextToken(model)
        own = [p for p in wrapped.parameters() if p.requires_grad]
        self._pfl = PyTorchModel(wrapped, self._local_optimiser, torch.optim.SGD(own, lr=job["serverRate"]))
        self._algorithm = FedLPP(job["rule"], job["serverRate"], job["rounds"], self.meters)
        self.mechanism = None if job["noiseMultiplier"] is None else WatchedGaussian(job["clip"], job["noiseMultiplier"])
        steps = [] if self.mechanism is None else [CentrallyAppliedPrivacyMechanism(self.mechanism)]
        self._backend = SimulatedBackend(self.cohorts, self.cohorts, postprocessors=steps)
        self._local = NNTrainHyperParams(
            local_num_epochs=job["localEpochs"],
            local_learning_rate=job["localRate"],
            local_batch_size=job["localBatch"],
            local_max_grad_norm=1.0,
        )
        self._parameters = NNAlgorithmParams(job["rounds"], job["rounds"] + 1, cohort, None)

    def _local_optimiser(self, parameters, lr: float):
        return torch.optim.AdamW([p for p in parameters if p.requires_grad], lr=lr, weight_decay=self._job["weightDecay"])

    def deliver(self) -> Adapter:
        """What a client holds after this round's message; its bytes are counted for each client of the cohort."""
        exact = trained(self.model)
        message = encode(exact, self.bits, self._job["block"], SCALE)
        self.meters.bytes_down += len(message) * len(self.cohorts.cohort)
        return decode(message, exact, self.bits, self._job["block"], SCALE)

    def step(self) -> Adapter:
        """Runs one round and returns what was delivered in it."""
        meters, algorithm = self.meters, self._algorithm
        began, own = time.process_time(), meters.client_seconds
        self.cohorts.round = self.round
        self.cohorts.cohort = draw(self._count, self._cohort, self._job["sampling"], self._job["seed"], self.round)
        algorithm.delivered = self._wrapped_names(self.deliver())
        context = CentralContext(
            current_central_iteration=self.round,
            do_evaluation=False,
            cohort_size=self._cohort,
            population=Population.TRAIN,
            model_train_params=self._local,
            model_eval_params=None,
            algorithm_params=self._parameters,
            seed=self._noise_seed(self.bits, self.round),
        )
        if any(self.cohorts.tokens(client) for client in self.cohorts.cohort):
            statistics, metrics = self._backend.gather_results(self._pfl, algorithm, central_context=context)
        else:
            statistics, metrics = self._nobody(context)
        if statistics is not None:
            algorithm.process_aggregated_statistics(context, metrics, self._pfl, statistics)
        meters.drawn.append(len(self.cohorts.cohort))
        for client in self.cohorts.cohort:
            meters.taken[client] += 1
            meters.tokens += self.cohorts.tokens(client)
        self.round += 1
        meters.rounds = self.round
        meters.participations += len(self.cohorts.cohort)
        meters.server_seconds += time.process_time() - began - (meters.client_seconds - own)
        return {name.removeprefix("model."): value for name, value in algorithm.delivered.items()}

    def train_alone(self, client: int, more: int) -> None:
        """One client's training as in a round, on the model as it stands; nothing is sent."""
        texts = self.cohorts.dataset(client, self._job["rounds"] + more)
        bridges.sgd_bridge().do_sgd(self._pfl, texts, self._local)

    def count_flops(self, clients: list[int]) -> None:
        """Operations of these clients' training; the model is put back. Apart from the rounds, because the counter may choose
        other kernels and so change last bits."""
        exact = trained(self.model)
        for client in (c for c in clients if self.cohorts.tokens(c)):
            with FlopCounterMode(display=False) as counter:
                self.train_alone(client, 0)
            self.meters.flops += counter.get_total_flops()
            self.meters.flops_tokens += self.cohorts.tokens(client)
        load(self.model, exact)

    def _nobody(self, context: CentralContext):
        """A sum over nobody is released all the same, with its noise: leaving it out would say who was there."""
        zero = {k: torch.zeros_like(v) for k, v in self._pfl.variable_map.items()}
        statistics = MappedVectorStatistics(zero)
        if self.mechanism is None:
            return statistics, Metrics()
        return self.mechanism.add_noise(statistics, self._cohort, seed=context.seed)

    def _wrapped_names(self, adapter: Adapter) -> Adapter:
        return {f"model.{name}": value for name, value in adapter.items()}

    def restore(self, theta: Adapter, meters: dict, round_: int, mechanism: dict | None) -> None:
        load(self.model, theta)
        vars(self.meters).update(meters)
        self.round = round_
        if self.mechanism is not None and mechanism is not None:
            vars(self.mechanism).update(mechanism)
