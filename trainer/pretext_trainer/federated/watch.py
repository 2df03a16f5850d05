# What the run really did, measured beside pfl's mechanism and independently of it: the norm of every contribution as it goes
# into the sum, who was in the sum, and the noise as the difference between the sum before and after. A run whose noise, bound
# or weights are not what it would report stops: no epsilon is better than a wrong one.
import math

import torch
from pfl.metrics import Metrics
from pfl.postprocessor.base import Postprocessor
from pfl.privacy.adaptive_clipping import AdaptiveClippingGaussianMechanism

from ..failure import Failure
from .cohorts import Cohorts
from .meter import Meter
from .noise import Noise, Release, norm

# Standard errors: two honest rounds of a thousand million are refused.
ERRORS = 6.0
INDICATOR = AdaptiveClippingGaussianMechanism._CLIPPING_INDICATOR_NAME


class Watch:
    """Two postprocessors around the mechanism: `inside` sees what goes into the sum and the sum itself, `outside` the noised
    sum. `releases` is what the run used, round by round."""

    def __init__(self, noise: Noise, cohorts: Cohorts, meter: Meter):
        self._noise, self._cohorts, self.meter = noise, cohorts, meter
        self.releases: list[dict] = []
        self.inside, self.outside = _Inside(self), _Outside(self)
        self._sum: dict[str, torch.Tensor] = {}
        # Of this round's contributions, as they went into the sum.
        self._longest: torch.Tensor | None = None

    @property
    def postprocessors(self) -> list[Postprocessor]:
        # pfl goes through the list on the client, and through it backwards on the server.
        return [self.outside, self._noise.postprocessor, self.inside]

    def expected(self) -> Release:
        return self._noise.release(len(self.releases))

    def contribution(self, stats, user_id: int | None):
        if user_id is None:
            # Nobody: a process without a client in this round.
            stats = stats.apply_elementwise(torch.zeros_like)
            stats.weight = 0.0
            return stats
        if stats.weight != 1.0:
            raise _refused(f"a client's update weighed {stats.weight:g} instead of 1, which no clip bounds")
        # Looked at when the round is over: a GPU would wait for each client.
        found = norm(stats)
        self._longest = found if self._longest is None else torch.maximum(self._longest, found)
        if self.meter.wants_message:
            self.meter.sent(dict(stats.items()))
        return stats

    def sum(self, stats) -> None:
        # Of this process: where it stops, no other one writes a checkpoint, since that waits for all of them.
        found, bound = 0.0 if self._longest is None else float(self._longest), self.expected().bound
        self._longest = None
        if not found <= bound * (1 + 1e-7):
            raise _refused(f"an update of L2 norm {found:g} went into the sum, above the bound {bound:g}")
        drawn = self._cohorts.drawn[-1]
        if abs(stats.weight - drawn) > 1e-3:
            raise _refused(f"the sum is over {stats.weight:g} contributions where {drawn} clients were drawn")
        # A constant from here on: the number of clients of a Poisson draw is private itself.
        stats.weight = self._cohorts.schedule.expected
        self._sum = {name: value.clone() for name, value in stats.items() if name != INDICATOR}
        self._release = self.expected()

    def noised(self, stats) -> None:
        release = self._release
        found = noise_is(
            [stats[n] - v for n, v in self._sum.items()], list(self._sum.values()), release.sigma * release.gain, "the sum of updates"
        )
        self._sum = {}
        self.releases.append(
            {
                "sigma": release.sigma,
                "measured": found / release.gain,
                "drawn": self._cohorts.drawn[-1],
                "parts": [{"clip": p.clip, "note": p.note} for p in release.parts],
            }
        )

    def mechanisms(self) -> list[dict]:
        """The releases, those of one noise multiplier together."""
        schedule = self._cohorts.schedule
        count = len(self.releases)
        base = {
            "cohort": schedule.expected,
            "clients": schedule.clients,
            "sampling": "fixed" if schedule.sampling == "cycle" else schedule.sampling,
            "contributions": "signed",
            "maxParticipations": int(self._cohorts.participations.max()),
        }
        # The round with the least noise for its bounds stands for all: they differ in their last bits at most.
        least = min(self.releases, key=lambda r: min(r["sigma"] / (p["clip"] or math.inf) for p in r["parts"]))
        made = []
        for index in range(len(self.releases[0]["parts"])):
            part = {**base, "sigma": least["sigma"], "clip": least["parts"][index]["clip"], "releases": count, "drawn": [r["drawn"] for r in self.releases]}
            if len(self.releases[0]["parts"]) > 1:
                part["together"] = "update and quantile"
            if self._noise.sensitivity is not None:
                part["matrix"] = {"sensitivity": self._noise.sensitivity}
                part["note"] = f"every client once in {schedule.period} rounds, at a place that it draws once"
            if self.releases[0]["parts"][index]["note"] is not None:
                part["note"] = self.releases[0]["parts"][index]["note"]
            made.append(part)
        return made


def noise_is(noise: list[torch.Tensor], sums: list[torch.Tensor], claimed: float, where: str) -> float:
    """The standard deviation of the noise, if it is the one that was claimed."""
    size = sum(v.numel() for v in noise)
    found = math.sqrt(float(torch.stack([v.double().square().sum() for v in noise]).sum()) / size)
    # Adding in 32 bits rounds: that much is nobody's fault.
    dust = 1e-6 * max(float(v.abs().max()) for v in sums) + 1e-12
    if not abs(found - claimed) <= claimed * ERRORS / math.sqrt(2 * size) + claimed * 1e-4 + dust:
        raise _refused(f"noise of standard deviation {found:g} lies on {where} where the mechanism claims {claimed:g}")
    return found


class _Inside(Postprocessor):
    def __init__(self, watch: Watch):
        self._watch = watch

    def postprocess_one_user(self, *, stats, user_context):
        return self._watch.contribution(stats, user_context.user_id), Metrics()

    def postprocess_server(self, *, stats, central_context, aggregate_metrics):
        self._watch.sum(stats)
        return stats, Metrics()


class _Outside(Postprocessor):
    def __init__(self, watch: Watch):
        self._watch = watch

    def postprocess_one_user(self, *, stats, user_context):
        return stats, Metrics()

    def postprocess_server(self, *, stats, central_context, aggregate_metrics):
        self._watch.noised(stats)
        return stats, Metrics()


def _refused(what: str) -> Failure:
    return Failure("unexpected", f"the run is not what it would report: {what}", "nothing of it may be used; report this")
