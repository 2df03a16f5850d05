# The job "train": from a start, through its stages (public pre-training, then the corpus), to a folder with the model.
# Killed anywhere, the same job with resume goes on behind its last checkpoint.
import json
import os
import shutil
from pathlib import Path

import torch

from . import start as starts
from .channel import Channel
from .check import versions
from .checkpoints import Checkpoints, check_same, write_aside
from .failure import Failure
from .learn import Learner, Sequences, Stage
from .place import Place
from .texts import fingerprint, hold_out, read_texts
from .tokens import encode

# What may differ between the process that was killed and the one that goes on.
FREE = {"out", "resume", "device", "processes", "threads", "gguf", "checkpointSteps", "checkpointSeconds", "kind"}


def run(job: dict, channel: Channel) -> dict:
    out = Path(job["out"])
    place = Place(job["device"], job["precision"], job["threads"])
    channel.send("started", kind="train", device=place.name, processes=place.processes, versions=versions())
    checkpoints = Checkpoints(out / "checkpoints")
    finished = checkpoints.folder / "result.json"
    if job["resume"] and finished.exists() and (out / "model").is_dir():
        return json.loads(finished.read_text("utf-8"))
    texts = [read_texts(plan["texts"], plan["name"]) for plan in job["stages"]]
    settings = _settings(job, texts)
    found = checkpoints.latest(channel) if job["resume"] else None
    if found is not None:
        check_same(settings, found[1]["settings"], found[0])
    if place.first and found is None:
        shutil.rmtree(checkpoints.folder, ignore_errors=True)
    place.wait()
    # Settings that nothing can begin with leave no unfinished training behind.
    start = _start(job, place, checkpoints.folder / "tokenizer", channel)
    if place.first:
        checkpoints.folder.mkdir(parents=True, exist_ok=True)
    model = _with_lora(start, job, place) if job["lora"] is not None else start.model.to(place.device)
    # Stages of checkpoints that were made before it was counted.
    done: list[dict] = [] if found is None else [{"cpuSeconds": 0.0, **stage} for stage in found[1]["done"]]
    for index, plan in enumerate(job["stages"]):
        if index < len(done):
            continue
        data = _sequences(start.tokenizer, texts[index], plan, job, index)
        learner = Learner(
            index=index,
            plan=plan,
            seed=job["seed"],
            sequences=data,
            model=model,
            place=place,
            channel=channel,
            checkpoints=checkpoints,
            save_steps=job["checkpointSteps"],
            save_seconds=job["checkpointSeconds"],
            outer={"settings": settings, "done": done, "stepsBefore": sum(d["steps"] for d in done)},
        )
        if found is not None:
            same = found[1]["index"] == index
            checkpoints.restore(found[0], model, learner.optimiser if same else None)
            if same:
                learner.stage = Stage(**{**found[1]["stage"], "micro": min(found[1]["stage"]["micro"], plan["microBatch"])})
                channel.note(f"resumed {plan['name']} at step {learner.stage.step} of {learner.steps}")
            found = None
        stage = learner.run()
        done = [*done, _summary(plan, stage, data, learner)]
        if index + 1 < len(job["stages"]):
            # What was kept is the start of the next stage, also for a process that is started later.
            learner.outer = {**learner.outer, "done": done, "stepsBefore": sum(d["steps"] for d in done)}
            _save_between(learner, index + 1)
    result = {
        **_write_model(job, start, model, place, channel, out),
        "dequantised": start.dequantised,
        "device": place.name,
        "processes": place.processes,
        "precision": place.precision,
        "stages": done,
        "versions": versions(),
    }
    if place.first:
        write_aside(checkpoints.folder, lambda aside: (aside / "result.json").write_text(json.dumps(result), "utf-8"))
    place.wait()
    place.close()
    return result


def _settings(job: dict, texts: list[list[str]]) -> dict:
    stages = [
        {**{k: v for k, v in plan.items() if k not in ("texts", "microBatch")}, "sha256": fingerprint(t)}
        for plan, t in zip(job["stages"], texts, strict=True)
    ]
    model = {**job["model"], "vocabularyTexts": None}
    return {**{k: v for k, v in job.items() if k not in FREE}, "model": model, "stages": stages}


def _start(job: dict, place: Place, kept: Path, channel: Channel) -> starts.Start:
    wanted = job["model"]
    if wanted["from"] == "scratch":
        start = starts.scratch(wanted, job["sequenceTokens"], job["seed"], kept if kept.is_dir() else None, channel)
        if place.first and not kept.is_dir():
            write_aside(kept, lambda aside: start.tokenizer.save_pretrained(aside))
        place.wait()
        return start
    more: dict = {}
    lora = job["lora"]
    if lora is not None and lora["quantise"] == "nf4":
        more = {"quantization_config": _four_bits(place), "device_map": {"": place.device}}
    # A base that LoRA leaves as it is may stay in 16 bits; weights that are trained are kept in 32.
    dtype = place.dtype if lora is not None else torch.float32
    start = starts.checkpoint(wanted, dtype, **more)
    longest = getattr(start.model.config, "max_position_embeddings", None)
    if longest is not None and job["sequenceTokens"] > longest:
        raise Failure("config", f"expected sequences of at most {longest} tokens for {wanted['model']}, got {job['sequenceTokens']}")
    return start


def _four_bits(place: Place):
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise Failure(
            "dependency",
            "QLoRA (--quantise nf4) needs the Python package bitsandbytes, which is not installed",
            "install it for a Python of your own and name that with PRETEXT_PYTHON, or leave --quantise out",
        ) from None
    if place.device.type not in ("cuda", "cpu"):
        raise Failure(
            "dependency", f"QLoRA (--quantise nf4) needs a GPU with CUDA or the CPU, and this is {place.device.type}", "say --device cpu"
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=place.dtype
    )


def _with_lora(start: starts.Start, job: dict, place: Place) -> torch.nn.Module:
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    lora = job["lora"]
    if lora["quantise"] == "nf4":
        for module in start.model.modules():
            # On some CPUs bitsandbytes repacks its weights at the first look at held-out texts, for a kernel that has no
            # gradient: what is trained after that would learn from a part of it.
            if hasattr(module, "support_avx512bf16_for_cpu"):
                module.support_avx512bf16_for_cpu = False
        base = prepare_model_for_kbit_training(start.model)
    else:
        base = start.model.to(place.device)
    torch.manual_seed(job["seed"])
    config = LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base, config)


def _sequences(tokenizer, texts: list[str], plan: dict, job: dict, index: int) -> Sequences:
    train, held_out = hold_out(texts, plan["validationShare"], job["seed"], index)
    length = job["sequenceTokens"]
    data = Sequences(
        encode(tokenizer, train, length, plan["long"]),
        encode(tokenizer, held_out, length, plan["long"]),
        len(train),
        len(held_out),
    )
    if not data.train:
        raise Failure("data", f"{plan['name']}: expected texts of two tokens or more, got none")
    return data


def _summary(plan: dict, stage: Stage, data: Sequences, learner: Learner) -> dict:
    kept = next((h for h in stage.history if h["epoch"] == stage.best_epoch), stage.history[-1])
    return {
        "name": plan["name"],
        "texts": data.texts,
        "heldOut": data.held_out_texts,
        "sequences": len(data.train),
        "tokens": stage.tokens,
        "steps": stage.step,
        "epochs": stage.step / learner.per_epoch,
        "bestEpoch": stage.best_epoch,
        "trainLoss": kept["trainLoss"],
        "validationBefore": stage.before,
        "validationLoss": stage.best,
        "stoppedEarly": stage.ended,
        "microBatch": stage.micro,
        "seconds": stage.seconds,
        "cpuSeconds": stage.cpu,
        "tokensPerSecond": stage.tokens / max(stage.seconds, 1e-9),
        "history": stage.history,
    }


def _save_between(learner: Learner, following: int) -> None:
    if learner.place.first:
        state = {**learner.outer, "index": following, "total": learner.outer["stepsBefore"], "stage": None}
        # No optimiser: the next stage begins with a fresh one. `index` says that its first step is still to come.
        learner.checkpoints.save(learner.model, None, {**state, "index": -1})
    learner.place.wait()


def _write_model(job: dict, start: starts.Start, model, place: Place, channel: Channel, out: Path) -> dict:
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    tokenizer = start.tokenizer
    adapter = None
    if job["lora"] is not None:
        adapter = out / "adapter"
        if place.first:
            write_aside(adapter, lambda aside: (model.save_pretrained(aside, save_embedding_layers=False), tokenizer.save_pretrained(aside)))
        place.wait()
        if job["lora"]["quantise"] == "nf4":
            # Merged into the weights as they were before they were rounded to four bits.
            from peft import PeftModel

            model = PeftModel.from_pretrained(starts.checkpoint(job["model"], torch.float32).model, adapter)
        model = model.merge_and_unload()
    whole = model.to(torch.float32)
    gguf_path: Path | None = None
    if place.first:
        write_aside(out / "model", lambda aside: (whole.save_pretrained(aside), tokenizer.save_pretrained(aside)))
        if job["gguf"]:
            gguf_path = _write_gguf(whole, tokenizer, out, channel)
    place.wait()
    return {
        "model": str(out / "model"),
        "adapter": None if adapter is None else str(adapter),
        "gguf": None if gguf_path is None else str(gguf_path),
        "architecture": whole.config.model_type,
        "parameters": sum(p.numel() for p in whole.parameters()),
        "trainedParameters": trained,
        "vocabulary": whole.get_input_embeddings().weight.shape[0],
    }


def _write_gguf(model, tokenizer, out: Path, channel: Channel) -> Path | None:
    try:
        from . import gguf_file
    except ImportError:
        channel.warning("no GGUF is written: the Python package gguf is not installed")
        return None
    reason = gguf_file.why_not(model, tokenizer)
    if reason is not None:
        channel.warning(f"no GGUF is written: {reason}; the folder model/ can be used with Transformers")
        return None
    aside = out / ".model.gguf.part"
    gguf_file.write(model, tokenizer, aside, out.name)
    os.replace(aside, out / "model.gguf")
    return out / "model.gguf"
