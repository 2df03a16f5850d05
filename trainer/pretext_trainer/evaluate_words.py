# The words of a corpus: how varied they are (distinct-n, Li et al. 2016; self-BLEU, Zhu et al. 2018, by sacrebleu) and how
# their lengths and frequencies differ from those of a reference.
import re
from collections import Counter
from typing import Sequence

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

_WORD = re.compile(r"[^\W_]+", re.UNICODE)

# Every text is compared with all others, so that self-BLEU takes a sample.
SELF_BLEU_TEXTS = 200


def words(text: str) -> list[str]:
    """Runs of letters and digits, in lower case."""
    return _WORD.findall(text.lower())


def distinct(texts: Sequence[list[str]], n: int) -> float:
    """Different n-grams divided by all n-grams; 1 where there are none."""
    grams = [tuple(text[i : i + n]) for text in texts for i in range(len(text) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 1.0


def self_bleu(texts: Sequence[str]) -> np.ndarray:
    """BLEU-4 (0 to 1) of each text against all the others."""
    from sacrebleu.metrics import BLEU

    metric = BLEU(effective_order=True)
    return np.asarray(
        [metric.sentence_score(text, [*texts[:i], *texts[i + 1 :]]).score / 100 for i, text in enumerate(texts)]
    )


def length_distance(first: Sequence[int], second: Sequence[int]) -> float:
    """Wasserstein-1 distance of two distributions of lengths, in words."""
    return float(wasserstein_distance(first, second))


def vocabulary_divergence(first: Counter, second: Counter) -> float:
    """Jensen-Shannon divergence of two distributions of words, in bits: 0 equal, 1 no word in common."""
    names = sorted(first.keys() | second.keys())
    if not names:
        return 0.0
    p = np.asarray([first[name] for name in names], dtype=float)
    q = np.asarray([second[name] for name in names], dtype=float)
    if p.sum() == 0 or q.sum() == 0:
        return 1.0
    return float(jensenshannon(p, q, base=2) ** 2)


def counted(texts: Sequence[list[str]]) -> Counter:
    return Counter(word for text in texts for word in text)
