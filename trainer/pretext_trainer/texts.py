# Texts for training: JSON lines with a "text" each, every text once, and which of them are held out to choose the best
# epoch. Nothing here quotes a text in an error.
import hashlib
import json
from pathlib import Path

import numpy as np

from .failure import Failure

# More held-out texts than this make the choice of an epoch slower, not better.
MOST_HELD_OUT = 2000


def read_texts(path: str, name: str) -> list[str]:
    texts: dict[str, None] = {}
    try:
        with Path(path).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    text = json.loads(line)["text"]
                except (ValueError, KeyError, TypeError):
                    raise Failure("data", f'{path}:{number}: expected a JSON object with a "text"') from None
                if isinstance(text, str) and text.strip():
                    texts[text] = None
    except FileNotFoundError:
        raise Failure("data", f"{path}: expected a file of texts, found none") from None
    if not texts:
        raise Failure("data", f"{name}: expected at least one text, got none")
    return list(texts)


def fingerprint(texts: list[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(hashlib.sha256(text.encode("utf-8", "replace")).digest())
    return digest.hexdigest()


def hold_out(texts: list[str], share: float, seed: int, stage: int) -> tuple[list[str], list[str]]:
    """(texts to learn from, texts held out). Which ones depends on the seed and the stage alone."""
    wanted = min(round(share * len(texts)), MOST_HELD_OUT)
    if share > 0 and len(texts) > 1:
        wanted = max(wanted, 1)
    if wanted == 0 or len(texts) < 2:
        return texts, []
    order = np.random.default_rng([seed, stage, 1]).permutation(len(texts))
    held = set(order[:wanted].tolist())
    return [t for i, t in enumerate(texts) if i not in held], [texts[i] for i in sorted(held)]
