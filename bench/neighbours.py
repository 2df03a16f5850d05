"""IndexFlatL2 of faiss, two threads: answers one JSON line with the time of one search (bench/neighbours.ts)."""
import json
import resource
import sys
import time

import faiss
import numpy as np

faiss.omp_set_num_threads(2)
index = None


def load(path, dim):
    return np.fromfile(path, dtype=np.float32).reshape(-1, dim)


for line in sys.stdin:
    request = json.loads(line)
    if "candidates" in request:
        index = faiss.IndexFlatL2(request["dim"])
        index.add(load(request["candidates"], request["dim"]))
        answer = {"version": faiss.__version__}
    else:
        queries = load(request["queries"], request["dim"])
        wall, cpu = time.perf_counter(), time.process_time()
        _, found = index.search(queries, request["k"])
        answer = {
            "wallMs": 1000 * (time.perf_counter() - wall),
            "cpuMs": 1000 * (time.process_time() - cpu),
            "peakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        found.astype(np.int32).tofile(request["queries"] + ".found")
    print(json.dumps(answer), flush=True)
