# The job "dp-prompt": each text of a client is rewritten by a language model whose every new token is drawn by an exponential
# mechanism. The utility of a token is its logit, clipped to [low, high]: for any two texts it differs by high - low at most,
# so one token at temperature T is 2 (high - low) / T private (McSherry and Talwar 2007), and n of them compose to n times
# that. Everything after the sampled tokens (cutting at a line end) is post-processing.
import json
import os
import time
from pathlib import Path

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from .channel import Channel
from .failure import Failure
from .place import Place
from .start import checkpoint
from .stop import stop_wanted, stopped


def temperature_for(epsilon: float, tokens: int, low: float, high: float) -> float:
    return 2 * tokens * (high - low) / epsilon


def epsilon_of(temperature: float, tokens: int, low: float, high: float) -> float:
    return 2 * tokens * (high - low) / temperature


class Exponential(LogitsProcessor):
    """Clipped utilities over the temperature; says what it was really given. A logit that is no number counts as the least."""

    def __init__(self, low: float, high: float, temperature: float):
        self.low, self.high, self.temperature = low, high, temperature
        self.used = 0

    def __call__(self, _ids, scores):
        self.used += 1
        utilities = torch.nan_to_num(scores.float(), nan=self.low, posinf=self.high, neginf=self.low)
        return utilities.clamp(self.low, self.high) / self.temperature


def _rows(path: str, most: int | None) -> list[dict]:
    kept, counts = [], {}
    for line in open(path, encoding="utf-8"):
        if not line.strip():
            continue
        row = json.loads(line)
        counts[row["client"]] = counts.get(row["client"], 0) + 1
        if most is None or counts[row["client"]] <= most:
            kept.append(row)
    if not kept:
        raise Failure("data", "expected clients with texts, got none")
    return kept


def run(job: dict, channel: Channel) -> dict:
    if not job["high"] > job["low"]:
        raise Failure("usage", f"expected high above low for the clip of the logits, got {job['low']:g} to {job['high']:g}")
    place = Place(job["device"], "fp32", job["threads"])
    begun = checkpoint(job["model"], torch.float32)
    model, tokenizer = begun.model.to(place.device).eval(), begun.tokenizer
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    rows = _rows(job["clients"], job["textsPerClient"])
    tokens, low, high = job["tokens"], job["low"], job["high"]
    private = job["epsilon"] is not None
    temperature = temperature_for(job["epsilon"], tokens, low, high) if private else 1.0
    draw = Exponential(low, high, temperature) if private else None

    out = Path(job["out"])
    out.mkdir(parents=True, exist_ok=True)
    aside, final = out / "corpus.part", out / "corpus.jsonl"
    done = _done(aside) if job["resume"] else []
    with open(aside, "w", encoding="utf-8") as file:
        for entry in done:
            file.write(json.dumps(entry) + "\n")
        for start in range(len(done) * job["microBatch"], len(rows), job["microBatch"]):
            if stop_wanted():
                raise stopped()
            batch = rows[start : start + job["microBatch"]]
            entry = _rewrite(model, tokenizer, batch, job, draw, start, place)
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
            done.append(entry)
            channel.progress("rewriting on the devices", min(start + len(batch), len(rows)), len(rows), "texts")
    corpus = [text for entry in done for text in entry["texts"] if text]
    if not corpus:
        raise Failure("data", "the model rewrote no text into anything", "raise epsilon, tokens, or the range of the logits")
    with open(final, "w", encoding="utf-8") as file:
        for text in corpus:
            file.write(json.dumps({"text": text}) + "\n")
    parameters = sum(p.numel() for p in model.parameters())
    clients = len({row["client"] for row in rows})
    processed = sum(entry["tokens"] for entry in done)
    return {
        "corpus": str(final),
        "texts": len(corpus),
        "clients": clients,
        # By what the processor holds, and not by what was asked.
        "epsilonPerText": epsilon_of(draw.temperature, tokens, draw.low, draw.high) if private else None,
        "temperature": temperature,
        "bytesUpPerClient": sum(len(text.encode("utf-8", "replace")) for text in corpus) / clients,
        "clientCpuSeconds": sum(entry["cpu"] for entry in done) / clients,
        # Two for each weight and token; attention over so few tokens adds a hundredth.
        "clientFlops": 2.0 * parameters * processed / clients,
        "llmTokens": processed,
        "parameters": parameters,
    }


def _done(aside: Path) -> list[dict]:
    if not aside.exists():
        return []
    entries = []
    for line in aside.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            # Torn by a crash: this batch is rewritten. Nobody saw it, and it is a simulation.
            break
    return entries


@torch.inference_mode()
def _rewrite(model, tokenizer, batch: list[dict], job: dict, draw: Exponential | None, start: int, place: Place) -> dict:
    began = time.process_time()
    shown = tokenizer([row["text"] for row in batch], add_special_tokens=False)["input_ids"]
    texts = [tokenizer.decode(ids[: job["inputTokens"]]) for ids in shown]
    prompts = tokenizer([job["prompt"].replace("{text}", text) for text in texts], return_tensors="pt", padding=True)
    prompts = {name: value.to(place.device) for name, value in prompts.items() if name != "token_type_ids"}
    torch.manual_seed(hash((job["seed"], start)) % 2**31)
    used = 0 if draw is None else draw.used
    ids = model.generate(
        **prompts,
        max_new_tokens=job["tokens"],
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        pad_token_id=tokenizer.pad_token_id,
        logits_processor=LogitsProcessorList([] if draw is None else [draw]),
    )
    new = ids[:, prompts["input_ids"].shape[1] :]
    if draw is not None and not draw.used - used == new.shape[1] <= job["tokens"]:
        raise Failure("unexpected", f"expected every new token by the exponential mechanism, got {draw.used - used} of {new.shape[1]}")
    written = [_first_line(text) for text in tokenizer.batch_decode(new, skip_special_tokens=True)]
    counted = int(prompts["attention_mask"].sum()) + int(new.numel())
    return {"texts": written, "tokens": counted, "cpu": time.process_time() - began}


def _first_line(text: str) -> str:
    return next((" ".join(line.split()) for line in text.splitlines() if line.strip()), "")
