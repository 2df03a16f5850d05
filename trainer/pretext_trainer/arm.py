# What the jobs of the arms share: what makes a job the same, and seeds of noise that no two trainings have.
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

# What may differ between the process that was killed and the one that goes on.
PLACES = {"out", "resume", "device", "threads", "processes", "microBatch", "checkpointRounds", "checkpointSteps"}
TEXTS = ("clients", "validation", "publicTexts")
FREE = {*PLACES, *TEXTS, "start"}


def settings_of(job: dict) -> dict:
    """What the result depends on: the settings, and the texts and the start's weights by their hash."""
    files = {k: [Path(job[k])] for k in TEXTS if job.get(k)}
    if job.get("start"):
        files["start"] = sorted(Path(job["start"]).glob("*.safetensors"))
    hashes = {f"{k}.sha256": _sha256(paths) for k, paths in files.items() if paths and all(path.is_file() for path in paths)}
    return {**{k: v for k, v in job.items() if k not in FREE}, **hashes}


def noise_seeds(job: dict) -> Callable[..., int]:
    """Seeds by words (a row, a round): no other training has them, because noise that two results share is gone from their
    difference. Neighbouring data sets are two trainings."""
    told = json.dumps(settings_of(job), sort_keys=True)

    def seed(*words: object) -> int:
        # Never 0, which pfl takes for none.
        return int.from_bytes(hashlib.sha256(f"{told}{json.dumps(words)}".encode()).digest()[:6]) | 1

    return seed


def _sha256(paths: list[Path]) -> str:
    told = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                told.update(block)
    return told.hexdigest()
