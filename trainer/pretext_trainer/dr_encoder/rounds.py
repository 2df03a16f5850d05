# Stage 2: rounds of federated LoRA through the uplink. A stopped run goes on behind its last checkpoint to the same numbers.
import torch

from ..stop import stop_wanted, stopped
from .clients import cohort, somebody
from .gates import cosine
from .message import mechanism
from .meters import size_of
from .simulation import Simulation
from .stage_one import second_part
from .uplink import Uplink


class Rounds:
    def __init__(self, sim: Simulation, uplink: Uplink):
        self.sim, self.uplink = sim, uplink
        # Each round: who was there, and how near the decoded update came to the clients' mean. For the simulation's owner:
        # the mean of real updates is in these figures, without noise.
        self.rows: list[dict] = []
        self.drawn: list[int] = []
        self.taken = [0] * len(sim.clients)

    def run(self) -> None:
        sim, job = self.sim, self.sim.job
        begin = self._found()
        if self.uplink.codec.latent > 0:
            sim.meters.count(self._one)
        sent = {**sim.state(), **self.uplink.codec.sent()} if self.uplink.codec.latent > 0 else {}
        down = size_of(sent)
        for number in range(begin, job["rounds"]):
            self.rows.append(self._round(number, down))
            sim.meters.state["rounds"] += 1
            told = self.rows[-1]["cosine"]
            values = None if told is None else {"cosine": told}
            sim.channel.progress("rounds", number + 1, job["rounds"], "rounds", values=values)
            last = number + 1 == job["rounds"]
            if last or (number + 1) % job["checkpointRounds"] == 0 or stop_wanted():
                self._save(number + 1)
                if not last and stop_wanted():
                    raise stopped()
        if self.uplink.codec.latent > 0:
            sim.mechanisms.append(self._mechanism())

    def _round(self, number: int, down: int) -> dict:
        sim, fed, uplink = self.sim, self.sim.fed, self.uplink
        job = sim.job
        if uplink.codec.latent == 0:
            fed.state = fed.state + job["serverRate"] * uplink.step(fed.device)
            return {"round": number + 1, "cohort": 0, "cosine": None, "updateNorm": None, "appliedNorm": None}
        chosen = cohort(job["sampling"], len(sim.clients), job["rate"], sim.seed, number)
        self.drawn.append(len(chosen))
        total = torch.zeros(fed.layout.numel, device=fed.device)
        for place in chosen:

            def work(place=place) -> tuple[int, tuple[torch.Tensor, torch.Tensor]]:
                sequences = second_part(sim, sim.clients[place])
                through, update = fed.update(sequences, [sim.seed, 6, number, place])
                return through, (update, uplink.message(update, len(chosen)))

            update, message = sim.meters.client(work)
            sim.meters.sent(down, size_of({"update": message}))
            self.taken[place] += 1
            uplink.receive(message)
            total += update
        step = sim.meters.server(lambda: uplink.step(fed.device))
        fed.state = fed.state + job["serverRate"] * step
        mean = total / max(1, len(chosen))
        return {
            "round": number + 1,
            "cohort": len(chosen),
            "cosine": cosine(step, mean),
            "updateNorm": float(torch.linalg.vector_norm(mean)),
            "appliedNorm": float(torch.linalg.vector_norm(step)),
        }

    def _one(self) -> tuple[int, torch.Tensor]:
        """What a client computes, for counting."""
        through, update = self.sim.fed.update(second_part(self.sim, somebody(self.sim.clients)), [self.sim.seed, 2])
        return through, self.uplink.codec.encode(update)

    def _mechanism(self) -> dict:
        sim, uplink = self.sim, self.uplink
        told = {"noise": uplink.noise, "clip": uplink.clip, "clients": len(sim.clients), "participations": max(self.taken)}
        if sim.job["noiseBy"] == "local":
            # A client pays for the messages that it sent itself, and nothing is amplified.
            note = "each client's own message against another in its place"
            own = mechanism(**told, releases=max(1, max(self.taken)), cohort=1, sampling="all", note=note)
            return {**own, "local": True}
        return mechanism(
            **told,
            releases=uplink.noise.releases,
            cohort=sim.expected,
            sampling=sim.job["sampling"],
            drawn=self.drawn,
            note="sum of codes" if sim.job["noise"] == "post_encode" else "sum of updates, coded",
        )

    def _save(self, done: int) -> None:
        uplink = self.uplink
        record = {
            "round": done,
            "rows": self.rows,
            "drawn": self.drawn,
            "taken": self.taken,
            "releases": uplink.noise.releases,
            "clip": [uplink.clip.largest, uplink.clip.vectors, uplink.clip.clipped],
            **self.sim.record(),
        }
        self.sim.kept.save("round", {"state": self.sim.fed.state, "noise": uplink.noise.state()}, record)

    def _found(self) -> int:
        found = self.sim.kept.load("round")
        if found is None:
            return 0
        tensors, record = found
        self.sim.fed.state = tensors["state"].to(self.sim.fed.device)
        self.sim.resume(record)
        self.rows, self.drawn, self.taken = record["rows"], record["drawn"], record["taken"]
        self.uplink.noise.restore(tensors["noise"], record["releases"])
        self.uplink.clip.largest, self.uplink.clip.vectors, self.uplink.clip.clipped = record["clip"]
        self.sim.channel.note(f"resumed behind round {record['round']} of {self.sim.job['rounds']}")
        return record["round"]
