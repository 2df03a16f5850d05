"""Transformers' generate in fp32 on the threads given: one JSON line with the time of one batch (bench/llm.ts).

Arguments: the GGUF file (its weights are dequantised), the number of threads.
"""
import json
import pathlib
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

path = pathlib.Path(sys.argv[1])
torch.set_num_threads(int(sys.argv[2]))
load = {"gguf_file": path.name, "dtype": torch.float32}
tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, padding_side="left")
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
model = AutoModelForCausalLM.from_pretrained(path.parent, **load).eval()

for line in sys.stdin:
    request = json.loads(line)
    inputs = tokenizer(request["prompts"], return_tensors="pt", padding=True)
    tokens = request["tokens"]
    wall, cpu = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        out = model.generate(
            **inputs, do_sample=True, temperature=1.0, top_p=0.95, top_k=0, min_new_tokens=tokens, max_new_tokens=tokens
        )
    print(
        json.dumps(
            {
                "wallMs": 1000 * (time.perf_counter() - wall),
                "cpuMs": 1000 * (time.process_time() - cpu),
                "tokens": (out.shape[1] - inputs["input_ids"].shape[1]) * out.shape[0],
            }
        ),
        flush=True,
    )
