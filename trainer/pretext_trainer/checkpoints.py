# Checkpoints: a folder for each, written aside, synced and renamed, so that one is whole or not there. What is saved is
# weights that are trained, the optimiser and the place in the plan; the order of the data and every random draw follow
# from the seed and that place, so they need no saving.
import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from .channel import Channel
from .failure import Failure

KEEP = 2


def trained_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {n: p.detach().cpu().contiguous() for n, p in model.named_parameters() if p.requires_grad}


def load_weights(model: nn.Module, weights: dict[str, torch.Tensor], where: str) -> None:
    own = {n: p for n, p in model.named_parameters() if p.requires_grad}
    wrong = sorted(n for n in own.keys() ^ weights.keys())
    wrong += sorted(n for n in own.keys() & weights.keys() if own[n].shape != weights[n].shape)
    if wrong:
        raise Failure(
            "config",
            f"{where} belongs to a model of another architecture or vocabulary ({len(wrong)} weights do not fit, the first is {wrong[0]})",
            "resume with the settings that the training was started with, or choose another --out",
        )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(weights[name])


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_aside(final: Path, fill) -> None:
    """Makes the folder `final` in one step: filled under another name, synced, renamed over an old one."""
    aside = final.with_name(f".{final.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    fill(aside)
    for path in sorted(aside.rglob("*")):
        if path.is_file():
            _sync(path)
    if os.name != "nt":
        _sync(aside)
    old = final.with_name(f".{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    aside.rename(final)
    if os.name != "nt":
        _sync(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def recovered(final: Path) -> bool:
    """Whether the folder is there, after a kill between the two renames of `write_aside` too."""
    old = final.with_name(f".{final.name}.old")
    if not final.is_dir() and old.is_dir():
        old.rename(final)
    return final.is_dir()


def check_same(now: dict, before: dict, path: Path) -> None:
    """Refuses to go on with other settings or other texts than those that a checkpoint was made with."""

    def flat(value: object, name: str = "") -> dict[str, object]:
        if isinstance(value, dict):
            return {k: v for key, inner in value.items() for k, v in flat(inner, f"{name}.{key}".strip(".")).items()}
        if isinstance(value, list):
            return {k: v for i, inner in enumerate(value) for k, v in flat(inner, f"{name}[{i}]").items()}
        return {name: value}

    a, b = flat(now), flat(before)
    changed = sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))
    if changed:
        what = ", ".join("the texts of " + k.split(".")[0] if k.endswith("sha256") else k for k in changed[:5])
        raise Failure(
            "config",
            f"{path} belongs to a training with other settings (different: {what})",
            "resume with the settings that it was started with, or choose another --out",
        )


class Checkpoints:
    """The checkpoints folder of one training."""

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, model: nn.Module, optimiser: torch.optim.Optimizer | None, state: dict) -> Path:
        final = self.folder / f"step-{state['total']:08d}"

        def fill(aside: Path) -> None:
            save_file(trained_weights(model), aside / "weights.safetensors")
            if optimiser is not None:
                torch.save(optimiser.state_dict(), aside / "optimiser.pt")
            (aside / "state.json").write_text(json.dumps(state), "utf-8")

        write_aside(final, fill)
        for old in self._all()[:-KEEP]:
            shutil.rmtree(old, ignore_errors=True)
        return final

    def _all(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("step-*") if p.is_dir())

    def latest(self, channel: Channel) -> tuple[Path, dict] | None:
        """The newest checkpoint that can be read."""
        for path in reversed(self._all()):
            try:
                state = json.loads((path / "state.json").read_text("utf-8"))
                load_file(path / "weights.safetensors")
                return path, state
            except Exception:
                channel.warning(f"the checkpoint {path} is damaged; the one before it is used")
        return None

    def restore(self, path: Path, model: nn.Module, optimiser: torch.optim.Optimizer | None) -> None:
        load_weights(model, load_file(path / "weights.safetensors"), str(path))
        if optimiser is not None and (path / "optimiser.pt").exists():
            optimiser.load_state_dict(torch.load(path / "optimiser.pt", map_location="cpu", weights_only=True))

    def save_best(self, model: nn.Module, stage: int) -> None:
        write_aside(
            self.folder / f"best-{stage}", lambda aside: save_file(trained_weights(model), aside / "weights.safetensors")
        )

    def restore_best(self, model: nn.Module, stage: int) -> None:
        path = self.folder / f"best-{stage}"
        load_weights(model, load_file(path / "weights.safetensors"), str(path))
