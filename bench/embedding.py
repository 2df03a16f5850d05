"""sentence-transformers on two threads or a GPU: answers one JSON line with the time of one encode (bench/embedding.ts).

Arguments: the folder of all-MiniLM-L6-v2 with its fp32 safetensors, and cpu or cuda.
"""
import json
import sys
import time

import numpy as np
import sentence_transformers
import torch

if sys.argv[2] == "cpu":
    torch.set_num_threads(2)
model = sentence_transformers.SentenceTransformer(sys.argv[1], device=sys.argv[2])
model.max_seq_length = 128

for line in sys.stdin:
    request = json.loads(line)
    if "texts" in request:
        texts = request["texts"]
        answer = {"version": f"sentence-transformers {sentence_transformers.__version__}, torch {torch.__version__}"}
    else:
        wall, cpu = time.perf_counter(), time.process_time()
        rows = model.encode(texts, batch_size=request["batch"], normalize_embeddings=True, show_progress_bar=False)
        answer = {"wallMs": 1000 * (time.perf_counter() - wall), "cpuMs": 1000 * (time.process_time() - cpu)}
        np.asarray(rows, dtype=np.float32).tofile(request["out"])
    print(json.dumps(answer), flush=True)
