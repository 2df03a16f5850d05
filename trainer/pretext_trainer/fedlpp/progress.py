# What an unfinished job needs to go on: one folder, replaced whole, with tensors and a place in the plan.
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from ..arm import settings_of
from ..checkpoints import check_same, recovered, write_aside


class Progress:
    def __init__(self, job: dict):
        self._settings = settings_of(job)
        self._out = Path(job["out"])
        self._folder = self._out / "checkpoint"
        self._result = self._out / "result.json"
        if not job["resume"]:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._result.unlink(missing_ok=True)
        self._out.mkdir(parents=True, exist_ok=True)

    def finished(self) -> dict | None:
        return self._checked(json.loads(self._result.read_text("utf-8")))["result"] if self._result.exists() else None

    def finish(self, result: dict) -> None:
        aside = self._out / ".result.json.part"
        aside.write_text(json.dumps({"settings": self._settings, "result": result}), "utf-8")
        aside.rename(self._result)
        shutil.rmtree(self._folder, ignore_errors=True)

    def save(self, state: dict, tensors: dict[str, torch.Tensor]) -> None:
        def fill(aside: Path) -> None:
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, aside / "tensors.safetensors")
            (aside / "state.json").write_text(json.dumps({"settings": self._settings, "state": state}), "utf-8")

        write_aside(self._folder, fill)

    def load(self) -> tuple[dict, dict[str, torch.Tensor]] | None:
        if not recovered(self._folder):
            return None
        kept = self._checked(json.loads((self._folder / "state.json").read_text("utf-8")))
        return kept["state"], load_file(self._folder / "tensors.safetensors")

    def _checked(self, kept: dict) -> dict:
        check_same(self._settings, kept["settings"], self._out)
        return kept
