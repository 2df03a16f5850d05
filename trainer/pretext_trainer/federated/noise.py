# What bounds and noises the clients' updates, as pfl's mechanisms: clip on each client, noise on the SUM before it is divided.
# The noise is pfl's: floating point, from a seeded generator of PyTorch. That is right for a simulation, which must repeat
# itself, and for nothing else: no model that was made here may be called private because of it.
import math
from dataclasses import dataclass

import numpy as np
import torch
from pfl.internal.ops.selector import get_default_framework_module as get_ops
from pfl.metrics import Metrics, StringMetricName, Weighted
from pfl.privacy.adaptive_clipping import AdaptiveClippingGaussianMechanism
from pfl.privacy.ftrl_mechanism import BandedMatrixFactorizationMechanism, ForwardSubstitution
from pfl.privacy.gaussian_mechanism import GaussianMechanism
from pfl.privacy.privacy_mechanism import CentrallyAppliedPrivacyMechanism
from pfl.stats import TrainingStatistics

from ..failure import Failure
from .cohorts import Schedule
from .strategy import banded, sensitivity
from .tree import TreeNoise, tree_matrices


# What is over the bound becomes this much shorter than the bound: rounding to 32 bits cannot bring it back over it.
MARGIN = 1e-6


def norm(statistics: TrainingStatistics) -> torch.Tensor:
    """L2 norm over all weights together, summed in double precision. A tensor on their device: whoever reads its value waits for
    everything that was asked of the device before."""
    # All weights in one call: a GPU would wait for one after the other.
    norms = torch._foreach_norm(list(statistics.get_weights()[1]), 2, dtype=torch.float64)
    return torch.stack(norms).norm()


class _Bounded:
    """pfl's clipping, made to hold to the last bit and for updates that are no numbers at all (pfl lets those through, and its
    norm is a sum of 32-bit floats). Nothing is read back from a GPU, where pfl waits four times for each client."""

    def constrain_sensitivity(self, statistics, name_formatting_fn=StringMetricName, seed=None):
        bound, found = _value(self.clipping_bound), norm(statistics)
        # Beyond that, 32 bits do not hold the factor exactly enough.
        sane, over = found < bound * 1e30, found > bound
        factor = torch.where(over, bound / found * (1 - MARGIN), 1.0)
        bounded = statistics.apply_elementwise(lambda v: torch.where(sane, v * factor.to(v.dtype), 0))
        if not hasattr(self.clipping_bound, "value"):
            return bounded, Metrics()
        # A bound that moves moves by this.
        clipped = Weighted.from_unweighted(int(sane & over))
        return bounded, Metrics([(name_formatting_fn("fraction of clipped norms"), clipped)])


class Independent(_Bounded, GaussianMechanism):
    """The same noise in every round, each drawn anew."""


class Correlated(_Bounded, BandedMatrixFactorizationMechanism):
    """DP-FTRL: round t gets row t of decoder x z, for independent z with standard deviation bound x relative noise."""

    def __init__(self, bound: float, relative_noise: float, strategy: np.ndarray, decoder: np.ndarray):
        # Not the parent's: it writes its matrix into the working folder and reads whatever lies there.
        GaussianMechanism.__init__(self, bound, relative_noise)
        self._C = strategy
        self.gains = np.linalg.norm(decoder, axis=1)


class Banded(Correlated):
    def __init__(self, bound: float, relative_noise: float, strategy: np.ndarray, bandwidth: int):
        super().__init__(bound, relative_noise, strategy, np.linalg.inv(strategy))
        self._C_inv_noise = ForwardSubstitution(strategy, bandwidth)

    def skip(self, dimension: int, seed: int) -> None:
        """Draws a round's noise again that an earlier process added."""
        self._C_inv_noise.step(self._generate_flattened_noise(dimension, self._std(), seed))

    def _std(self) -> float:
        return self.clipping_bound * self.relative_noise_stddev


class Tree(Correlated):
    def __init__(self, bound: float, relative_noise: float, matrices: tuple[np.ndarray, np.ndarray], period: int):
        super().__init__(bound, relative_noise, *matrices)
        self._next = (0, 0)
        self._tree = TreeNoise(period, self._draw)
        # pfl adds what this hands it, flat.
        self._C_inv_noise = self

    def _draw(self, _round: int, level: int) -> torch.Tensor:
        dimension, seed = self._next
        of_node = int(np.random.SeedSequence([seed, level]).generate_state(1)[0]) | 1
        return self._generate_flattened_noise(dimension, self.clipping_bound * self.relative_noise_stddev, of_node)

    def add_noise(self, statistics, cohort_size, *args, seed=None, **kwargs):
        self._next = (int(statistics.num_parameters), seed)
        noise = get_ops().reshape(self._tree.step(), [tuple(v.shape) for v in statistics.get_weights()[1]])
        metadata, _ = statistics.get_weights()
        return statistics + statistics.from_weights(metadata * 0, noise), Metrics()

    def skip(self, dimension: int, seed: int) -> None:
        self._next = (dimension, seed)
        self._tree.step()


@dataclass(frozen=True)
class Part:
    """One bounded contribution inside of a release."""

    clip: float | None
    note: str | None = None


@dataclass(frozen=True)
class Release:
    """What the mechanism says of the round that comes: noise on the sum (before it is correlated), its factor in this round,
    and the bounds."""

    sigma: float
    gain: float
    parts: tuple[Part, ...]

    @property
    def bound(self) -> float:
        return float(np.sqrt(sum((p.clip if p.clip is not None else np.inf) ** 2 for p in self.parts)))


class NoNoise(CentrallyAppliedPrivacyMechanism):
    """For a run without bound: nothing is clipped and nothing added."""

    def __init__(self):
        super().__init__(Independent(1.0, 0.0))

    def postprocess_one_user(self, *, stats, user_context):
        return stats, Metrics()

    def postprocess_server(self, *, stats, central_context, aggregate_metrics):
        return stats, Metrics()


class Noise:
    """The mechanism of a run, and what it says of itself."""

    def __init__(self, job: dict, schedule: Schedule):
        self.kind, clip = job["noise"], job["clip"]
        multiplier = job["noiseMultiplier"]
        _check(job)
        self.sensitivity: float | None = None
        if clip["kind"] == "none":
            self.postprocessor = NoNoise()
        elif clip["kind"] == "adaptive":
            self.postprocessor = _adaptive(clip, multiplier, schedule)
        elif self.kind == "independent":
            self.postprocessor = CentrallyAppliedPrivacyMechanism(Independent(clip["bound"], multiplier))
        else:
            self.postprocessor = CentrallyAppliedPrivacyMechanism(self._correlated(job, schedule, clip["bound"], multiplier))

    def _correlated(self, job: dict, schedule: Schedule, bound: float, multiplier: float) -> Correlated:
        rounds, period = schedule.rounds, schedule.period
        if self.kind == "tree":
            matrices = tree_matrices(rounds, period)
            self.sensitivity = sensitivity(matrices[0], schedule.patterns())
            return Tree(bound, multiplier * self.sensitivity, matrices, period)
        server = job["server"]
        strategy = banded(rounds, period, server["momentum"] if server["optimiser"] == "sgd" else 0.0)
        strategy = _of_first_process(strategy)
        self.sensitivity = sensitivity(strategy, schedule.patterns())
        return Banded(bound, multiplier * self.sensitivity, strategy, period)

    @property
    def mechanism(self):
        return self.postprocessor.underlying_mechanism

    def release(self, index: int) -> Release:
        """Read off the mechanism as it stands, before round `index` (from 0)."""
        if isinstance(self.postprocessor, NoNoise):
            return Release(0.0, 1.0, (Part(None),))
        bound, relative = float(_value(self.mechanism.clipping_bound)), float(self.mechanism.relative_noise_stddev)
        if isinstance(self.postprocessor, AdaptiveClippingGaussianMechanism):
            whole = float(self.postprocessor._get_overall_clipping_bound())
            indicator = float(self.postprocessor._get_clipping_indicator_scale())
            parts = (Part(bound, "model update"), Part(indicator, "whether the update was below the bound, for its quantile"))
            return Release(whole * relative, 1.0, parts)
        gain = float(self.mechanism.gains[index]) if isinstance(self.mechanism, Correlated) else 1.0
        return Release(bound * relative, gain, (Part(bound),))

    def state(self) -> dict:
        """What a resumed run must know besides its settings."""
        adaptive = isinstance(self.postprocessor, AdaptiveClippingGaussianMechanism)
        return {"bound": float(self.postprocessor.mutable_clipping_bound.value()) if adaptive else None}

    def restore(self, state: dict, rounds: int, dimension: int, seed_of_round) -> None:
        if state["bound"] is not None:
            self.postprocessor.mutable_clipping_bound.set_value(state["bound"])
        if isinstance(self.mechanism, Correlated):
            for index in range(rounds):
                self.mechanism.skip(dimension, seed_of_round(index))


def _adaptive(clip: dict, multiplier: float, schedule: Schedule) -> AdaptiveClippingGaussianMechanism:
    # pfl counts -1 and 1 where the job counts clients: twice as far apart.
    count_noise = clip["quantileNoise"] if clip["quantileNoise"] is not None else schedule.expected / 20
    if multiplier >= 2 * count_noise:
        raise Failure(
            "config",
            f"expected a noise multiplier below twice the noise on the quantile ({2 * count_noise:g}), got {multiplier:g}: "
            "the quantile alone would cost the whole budget",
            "raise clip.quantileNoise or the cohort, or use a fixed clip",
        )
    return AdaptiveClippingGaussianMechanism(
        make_gaussian_mechanism=lambda bound: Independent(bound, multiplier),
        initial_clipping_bound=clip["initial"],
        clipping_indicator_noise_stddev=2 * count_noise,
        adaptive_clipping_norm_quantile=clip["quantile"],
        log_space_step_size=clip["stepSize"],
    )


def _check(job: dict) -> None:
    correlated, clip = job["noise"] != "independent", job["clip"]["kind"]
    if clip == "none" and job["noiseMultiplier"] > 0:
        raise Failure("config", "expected a clip where noise is added: without one no noise is enough", "give clip.bound")
    if correlated and job["sampling"] != "cycle":
        raise Failure(
            "config",
            f'expected sampling "cycle" for noise "{job["noise"]}", got "{job["sampling"]}": its cost depends on how many '
            "rounds lie between two of one client",
        )
    if correlated and clip != "fixed":
        raise Failure("config", f'expected a fixed clip for noise "{job["noise"]}", got "{clip}": all rounds share one bound')
    if not correlated and job["sampling"] == "cycle" and job["noiseMultiplier"] > 0:
        raise Failure("config", 'expected noise "banded" or "tree" with sampling "cycle": a place that stays amplifies nothing')
    if clip == "adaptive" and job["noiseMultiplier"] == 0:
        raise Failure("config", "expected noise with an adaptive clip: the quantile is released too")


def _of_first_process(matrix: np.ndarray) -> np.ndarray:
    """The first process's matrix, in all of them, in the precision that noise is mixed with."""
    single = torch.from_numpy(matrix.astype(np.float32))
    if get_ops().distributed.global_rank != 0:
        single.zero_()
    (agreed,) = get_ops().distributed.all_reduce([get_ops().to_tensor(single)])
    return agreed.cpu().numpy().astype(np.float64)


def _value(bound) -> float:
    return bound.value() if hasattr(bound, "value") else bound
