"""How fast decode.py is, with random weights in the shape of SmolLM2-135M: greedy decoding against Transformers' generate,
then tokens per second by number of slots. `python3 bench/gpu/measure.py [--tiny]`; needs no file."""

from __future__ import annotations

import argparse
import time

import torch
from decode import Engine, Llama, Request
from transformers import LlamaConfig, LlamaForCausalLM

PROMPT, OUTPUT = 180, 48  # tokens, about those of a few-shot prompt with three texts and of its answer


def random_model(tiny: bool) -> LlamaForCausalLM:
    torch.manual_seed(0)
    shape = (48, 96, 2, 6, 2, 8, 512) if tiny else (576, 1536, 30, 9, 3, 64, 49152)
    names = "hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim vocab_size"
    config = LlamaConfig(**dict(zip(names.split(), shape)), tie_word_embeddings=True, initializer_range=0.1, rope_theta=1e5)
    return LlamaForCausalLM(config).eval()


def engine(model, device: str, dtype: torch.dtype, slots: int, context: int) -> Engine:
    made = Engine(Llama(model, device, dtype), slots, context, set(), lambda ids: "")
    made.pieces = [""] * model.config.vocab_size
    made.warm()
    return made


def same_as_generate(model, device: str) -> None:
    made = engine(model, device, torch.float32, 64, 256)
    model.to(device)
    random = torch.Generator().manual_seed(1)
    # Sampling in between leaves nothing behind that greedy rows could see.
    requests = [
        Request(
            torch.randint(0, model.config.vocab_size, (10 + 7 * i,), generator=random).tolist(),
            20 + i,
            temperature=float(i % 3 == 2),
            top_p=0.95,
            seed=i,
        )
        for i in range(24)
    ]
    waiting, rest = requests[:13], requests[13:]
    made.admit(waiting)
    while made.active or rest:
        made.decode()
        made.admit(rest)
    differ = 0
    for i, request in enumerate(requests):
        if i % 3 == 2:
            continue
        ids = torch.tensor([request.ids], device=device)
        most = {"max_new_tokens": request.max_tokens, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        out = model.generate(ids, attention_mask=torch.ones_like(ids), **most)[0, ids.shape[1] :]
        differ += out.tolist() != request.out
    print(f"greedy, fp32: {differ} of 16 requests differ from generate", flush=True)


def throughput(model, device: str, dtype: torch.dtype, slots: int) -> None:
    made = engine(model, device, dtype, slots, 320)
    random = torch.Generator().manual_seed(slots)
    lengths = torch.randint(PROMPT // 2, PROMPT * 3 // 2, (slots * 4,), generator=random).tolist()
    ends = torch.randint(OUTPUT // 2, OUTPUT * 3 // 2, (slots * 4,), generator=random).tolist()
    waiting = [Request([7] * n, m, 1.0, 0.95, 0.0, i) for i, (n, m) in enumerate(zip(lengths, ends))]
    turns, started, counted = 0, time.time(), (0.0, 0, 0)
    prefill = 0.0
    while waiting or made.active:
        begin = time.time()
        made.admit(waiting)
        if device == "cuda":
            torch.cuda.synchronize()
        prefill += time.time() - begin
        made.decode()
        turns += 1
        if turns == 8:  # captures and kernel choices are behind
            counted, prefill = (time.time(), made.output_tokens, made.prompt_tokens), 0.0
            steps = made.steps
    seconds = time.time() - counted[0]
    row = {
        "slots": slots,
        "output tok/s": round((made.output_tokens - counted[1]) / seconds),
        "prompt tok/s": round((made.prompt_tokens - counted[2]) / seconds),
        "prefill share": round(prefill / seconds, 2),
        "ms/step": round((seconds - prefill) / (made.steps - steps) * 1000, 2),
        "first 8 turns s": round(counted[0] - started, 1),
    }
    if device == "cuda":
        row["GiB"] = round(torch.cuda.max_memory_allocated() / 2**30, 1)
    print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="for a CPU")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = random_model(args.tiny)
    same_as_generate(model, device)
    for slots in (16, 32) if args.tiny else (512, 1024, 2048, 4096):
        throughput(model, device, torch.bfloat16 if device == "cuda" else torch.float32, slots)
        if device == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
