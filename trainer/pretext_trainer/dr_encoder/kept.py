# What a run that may be interrupted keeps: one folder, whole or not there, with tensors and a record. It belongs to one job:
# another job's is refused by the names of the settings that differ.
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from ..checkpoints import write_aside
from ..failure import Failure

FREE = {"out", "resume", "device", "threads", "kind", "clients", "validation", "start", "publicTexts"}


class Kept:
    def __init__(self, out: Path, job: dict):
        self._folder = out / "checkpoints"
        self._settings = {k: v for k, v in job.items() if k not in FREE}
        if not job["resume"]:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)

    def save(self, name: str, tensors: dict[str, torch.Tensor], record: dict) -> None:
        whole = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}

        def fill(aside: Path) -> None:
            save_file(whole, aside / "tensors.safetensors")
            (aside / "record.json").write_text(json.dumps({"settings": self._settings, "record": record}), "utf-8")

        write_aside(self._folder / name, fill)

    def load(self, name: str) -> tuple[dict[str, torch.Tensor], dict] | None:
        path = self._folder / name
        if not path.is_dir():
            return None
        content = json.loads((path / "record.json").read_text("utf-8"))
        before = content["settings"]
        changed = sorted(k for k in self._settings.keys() | before.keys() if self._settings.get(k) != before.get(k))
        if changed:
            raise Failure(
                "config",
                f"{path} belongs to a run with other settings (different: {', '.join(changed[:5])})",
                "resume with the settings that it was started with, or choose another folder",
            )
        return load_file(path / "tensors.safetensors"), content["record"]
