# What the jobs of the arms share: which settings and texts make a job the same, and seeds of noise that no two trainings have.
import hashlib
import json
from pathlib import Path

# What may differ between the process that was killed and the one that goes on.
PLACES = {"out", "resume", "device", "threads", "microBatch", "checkpointRounds", "checkpointSteps", "start"}
TEXTS = ("clients", "validation", "publicTexts")
FREE = {*PLACES, *TEXTS}


def noise_seed(job: dict, *words: object) -> int:
    """A seed that no other training has: noise is never shared between settings that are compared."""
    told = json.dumps([{k: v for k, v in sorted(job.items()) if k not in FREE}, *words])
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:6]) | 1


def settings_of(job: dict) -> dict:
    """What the result depends on: the settings, and the texts by their hash."""
    files = {k: Path(job[k]) for k in TEXTS if job.get(k)}
    texts = {f"{k}.sha256": hashlib.sha256(path.read_bytes()).hexdigest() for k, path in files.items() if path.is_file()}
    return {**{k: v for k, v in job.items() if k not in FREE}, **texts}
