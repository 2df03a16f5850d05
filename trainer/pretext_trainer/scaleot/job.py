# The job "scaleot": the owner's search on public texts, emulators of several sizes, tuning by the data owners, plug-back. The
# table holds the four losses that offsite tuning is judged by: the whole model untuned, the emulator tuned, its adapters
# plugged back, and the whole model tuned.
import copy
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ..arm import noise_seeds
from ..channel import Channel
from ..check import versions
from ..checkpoints import write_aside
from ..dr_encoder.clients import Plan, next_token, public_clients, read_clients, rows_of
from ..dr_encoder.kept import Kept
from ..dr_encoder.meters import Meters, size_of
from ..failure import Failure
from ..federated.clients import check_apart, read_rows
from ..place import Place
from ..start import checkpoint
from ..stop import stop_wanted, stopped
from ..tokens import encode
from .emulator import Emulator, adapter_places, build, plug_back
from .search import Mixture, Search, run_search
from .tune import Tuner, Tuning


def run(job: dict, channel: Channel) -> dict:
    place = Place(job["device"], "fp32", job["threads"])
    channel.send("started", kind="scaleot", device=place.name, processes=1, versions=versions())
    check(job)
    check_apart(read_rows(job["clients"], "the clients"), read_rows(job["validation"], "the validation clients"))
    kept = Kept(Path(job["out"]), job)
    finished = kept.load("result")
    return finished[1] if finished is not None else Offsite(job, channel, place.device, kept).result()


def check(job: dict) -> None:
    if job["noiseMultiplier"] > 0 and (job["owners"] == "one" or job["clip"] == "none"):
        raise Failure(
            "config",
            "noise hides a client in a sum of clipped changes; "
            + ("one owner sends no sum" if job["owners"] == "one" else "expected a clip, got none"),
            "use owners each and give a clip, or noiseMultiplier 0",
        )


class Offsite:
    def __init__(self, job: dict, channel: Channel, device: torch.device, kept: Kept):
        self.job, self.channel, self.device, self.kept = job, channel, device, kept
        begun = checkpoint({"from": "folder", "model": job["start"], "revision": None}, torch.float32)
        self.full, self.tokenizer = begun.model.to(device), begun.tokenizer
        if not hasattr(getattr(self.full, "model", None), "layers"):
            raise Failure("config", f"{job['start']}: expected a Llama-like model, got {self.full.config.model_type}")
        length, seed = job["sequenceTokens"], job["seed"]
        self.clients = read_clients(job["clients"], self.tokenizer, length, job["textsPerClient"], seed)
        self.validation = rows_of(job["validation"])
        self.public = encode(self.tokenizer, [row["text"] for row in rows_of(job["publicTexts"])], length)
        self.tuning = Tuning(
            plan=Plan(**job["local"]),
            owners=job["owners"],
            rounds=job["rounds"],
            sampling=job["sampling"],
            rate=job["rate"],
            server_rate=job["serverRate"],
            noise_multiplier=job["noiseMultiplier"],
            clip=job["clip"],
            seed=seed,
            device=device,
        )
        self.public_clients = public_clients(job, self.tokenizer)
        self.noise_seed = noise_seeds(job)

    def result(self) -> dict:
        job, full = self.job, self.full
        owner = Meters()
        search = owner.server(self._search)
        adapters = adapter_places(len(search.scores), job["adapters"]["layers"], job["adapters"]["place"], search.scores)
        untuned = self._score(full)
        upper = self._upper() if job["fullTuning"] else None
        rows, first, mechanism, meters = [], None, None, Meters()
        for index, size in enumerate(job["emulators"]):
            emulator = build(full, search.mixture.harmonizers, search.scores, adapters, **size)
            before = self._score(emulator.model)
            parameters = sum(p.numel() for p in emulator.model.parameters())
            sent = size_of(dict(emulator.model.named_parameters()))
            # The guarantee is for the model that this run leaves; the other rows are experiments on simulation texts.
            tuner, emulator = self._tuned(emulator, index)
            tuned = self._score(emulator.model)
            plugged = plug_back(full, emulator)
            after = self._score(plugged)
            rows.append(_row(size, emulator, parameters, sent, untuned, before, tuned, after, upper))
            self.channel.metric("emulators", "plugIn", after["loss"], step=index)
            if index == 0:
                first, mechanism, meters = plugged, tuner.mechanism(), tuner.meters
        folder = Path(job["out"]) / "model"
        write_aside(folder, lambda aside: (first.save_pretrained(aside), self.tokenizer.save_pretrained(aside)))
        told = meters.result()
        result = {
            "model": str(folder),
            "mechanisms": [mechanism],
            "meters": {**told, "serverCpuSeconds": told["serverCpuSeconds"] + owner.state["server"]},
            "validation": self._score(first),
            "measures": {
                "zeroShot": untuned["loss"],
                "fullTuning": None if upper is None else upper["loss"],
                "fullTuningAccuracy": None if upper is None else upper["accuracy"],
                "gap": rows[0]["gap"],
                "recovery": rows[0]["recovery"],
                "fullParameters": sum(p.numel() for p in full.parameters()),
                "fullBytes": size_of(dict(full.named_parameters())),
                "harmonizerParameters": sum(p.numel() for p in search.mixture.harmonizers[0].parameters()),
                "searchSeconds": owner.state["server"],
                "adapters": ", ".join(map(str, adapters)),
                "emulators": rows,
                "importance": [
                    {"layer": i, "score": float(s), "adapter": i in adapters} for i, s in enumerate(search.scores)
                ],
            },
        }
        self.kept.save("result", {"none": torch.zeros(1)}, result)
        return result

    def _search(self) -> Search:
        plan = self.job["search"]
        torch.manual_seed(self.job["seed"])
        search = Search(Mixture(self.full, plan["width"], self.device), plan, self.job["seed"])

        def told(step: int, loss: float) -> None:
            self.channel.progress("layer search", step, plan["steps"], "steps", f"loss of mixtures {loss:.3f}", {"loss": loss})

        if not run_search(search, self.public, self.kept, stop_wanted, told):
            raise stopped()
        return search

    def _tuned(self, emulator: Emulator, index: int) -> tuple[Tuner, Emulator]:
        wanted = self.job["adapters"]
        if wanted["tune"] == "full":
            return self._tune(emulator.model, f"emulator-{index}", private=True), emulator
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(self.job["seed"])
        config = LoraConfig(
            r=wanted["rank"],
            lora_alpha=2 * wanted["rank"],
            target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
            layers_to_transform=list(emulator.adapters),
            task_type="CAUSAL_LM",
        )
        wrapped = get_peft_model(emulator.model, config)
        tuner = self._tune(wrapped, f"emulator-{index}", private=True)
        return tuner, replace(emulator, model=wrapped.merge_and_unload())

    def _upper(self) -> dict:
        whole = copy.deepcopy(self.full)
        for parameter in whole.parameters():
            parameter.requires_grad_(True)
        self._tune(whole, "full-tuning", private=False)
        return self._score(whole)

    def _tune(self, model: nn.Module, name: str, private: bool) -> Tuner:
        tuner = Tuner(model, self.clients, self.public_clients, self.tuning.private(private), self.noise_seed(name), Meters())
        found = self.kept.load(name)
        if found is not None:
            tuner.resume(*found)
        while tuner.done < tuner.rounds:
            tuner.round()
            self.channel.progress(f"tuning of {name}", tuner.done, tuner.rounds, "rounds")
            last, wanted = tuner.done == tuner.rounds, stop_wanted()
            if last or wanted or tuner.done % 5 == 0:
                self.kept.save(name, tuner.tensors(), tuner.record())
            if wanted and not last:
                raise stopped()
        return tuner

    def _score(self, model: nn.Module) -> dict:
        return next_token(model, self.tokenizer, self.validation, self.job["sequenceTokens"], self.device)


def _row(size: dict, emulator: Emulator, parameters: int, sent: int, untuned, before, tuned, after, upper) -> dict:
    gained = untuned["loss"] - after["loss"]
    most = None if upper is None else untuned["loss"] - upper["loss"]
    return {
        **size,
        "replaced": len(emulator.replaced),
        "ranks": ", ".join(map(str, emulator.ranks)),
        "parameters": parameters,
        "bytes": sent,
        "zeroShot": untuned["loss"],
        "emulator": before["loss"],
        "emulatorTuned": tuned["loss"],
        "plugIn": after["loss"],
        "plugInAccuracy": after["accuracy"],
        # What the data owner's copy lacks: the model's protection, which is empirical.
        "gap": tuned["loss"] - after["loss"],
        "recovery": None if most is None or most <= 0 else gained / most,
    }
