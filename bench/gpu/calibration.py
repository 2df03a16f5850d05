"""What a temperature would gain: for every model that a comparison kept, the temperature with the least cross-entropy on the
validation clients, and the cross-entropy of the evaluation clients without and with it.

    PYTHONPATH=trainer python3 bench/gpu/calibration.py runs/gpu/compare-debian runs/gpu/debian/heldout.jsonl [only paths with this] > calibration.jsonl

A temperature changes no order of tokens, so accuracy stays as it is.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from pretext_trainer.evaluate_model import Sequence, sequences_of, stacked
from pretext_trainer.start import checkpoint

TEMPERATURES = [round(0.8 + 0.05 * i, 2) for i in range(17)]
LENGTH, AT_ONCE = 64, 64


@torch.inference_mode()
def losses(model, sequences: list[Sequence], device: torch.device) -> list[float]:
    """Nats a token at each temperature."""
    sums, tokens = torch.zeros(len(TEMPERATURES), dtype=torch.float64), 0
    for start in range(0, len(sequences), AT_ONCE):
        ids, counted = stacked(sequences[start : start + AT_ONCE], device)
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()[counted]
        targets = ids[:, 1:][counted]
        sums += torch.stack([F.cross_entropy(logits / t, targets, reduction="sum").double() for t in TEMPERATURES]).cpu()
        tokens += len(targets)
    return (sums / tokens).tolist()


def rows(path: Path) -> list[dict]:
    return [{"client": 0, "text": json.loads(line)["text"]} for line in path.open(encoding="utf-8") if line.strip()]


def main(folder: Path, evaluation: Path, only: str = "") -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sides = {"validation": rows(folder / "data" / "validation.jsonl"), "evaluation": rows(evaluation)}
    found = {file.parent for file in (folder / "arms").rglob("model.safetensors") if only in str(file)}
    for place in [folder / "start" / "training" / "model", *sorted(found)]:
        if not (place / "config.json").exists():
            continue
        begun = checkpoint({"from": "folder", "model": str(place), "revision": None}, torch.float32)
        model = begun.model.to(device).eval()
        at = {}
        for side, texts in sides.items():
            sequences = sorted(sequences_of(begun.tokenizer, texts, LENGTH)[0], key=lambda s: len(s.ids))
            at[side] = losses(model, sequences, device)
        best = min(range(len(TEMPERATURES)), key=at["validation"].__getitem__)
        plain = TEMPERATURES.index(1.0)
        told = {"model": str(place.relative_to(folder)), "temperature": TEMPERATURES[best]}
        told |= {"plain": at["evaluation"][plain], "tempered": at["evaluation"][best]}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
