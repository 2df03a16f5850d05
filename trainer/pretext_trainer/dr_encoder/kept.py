# What a run that may be interrupted keeps: one folder, whole or not there, with tensors and a record. It belongs to one job:
# another job's is refused by the names of the settings that differ.
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from ..arm import settings_of
from ..checkpoints import check_same, recovered, write_aside


class Kept:
    def __init__(self, out: Path, job: dict):
        self._folder = out / "checkpoints"
        self._settings = settings_of(job)
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
        if not recovered(path):
            return None
        content = json.loads((path / "record.json").read_text("utf-8"))
        check_same(self._settings, content["settings"], path)
        return load_file(path / "tensors.safetensors"), content["record"]
