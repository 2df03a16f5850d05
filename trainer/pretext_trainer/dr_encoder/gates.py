# Does a codec carry information about the update that went in? Benchmarks alone do not tell: a decoder that returns the
# prior's mean whatever comes in looks "robust to noise". So what comes out is compared with what went in, and with what
# went in for somebody else.
import torch

from .codec import Codec

COSINE = 0.3
MATCHED_MINUS_SHUFFLED = 0.1


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    product = torch.dot(a.double(), b.double())
    norms = torch.linalg.vector_norm(a.double()) * torch.linalg.vector_norm(b.double())
    return float(product / norms) if norms > 0 else 0.0


def reconstruction(codec: Codec, updates: list[torch.Tensor]) -> dict:
    """Over held-out updates: mean cosine to the own and to another's, mean squared error relative to the update's own
    square, and the label that the run carries."""
    back = [codec.decode(codec.encode(u)) for u in updates]
    matched = [cosine(b, u) for b, u in zip(back, updates, strict=True)]
    shuffled = [cosine(b, u) for b, u in zip(back, [*updates[1:], updates[0]], strict=True)]
    error = [float((b - u).square().sum() / u.square().sum()) for b, u in zip(back, updates, strict=True)]
    mean, other = sum(matched) / len(matched), sum(shuffled) / len(shuffled)
    informative = mean >= COSINE and mean - other >= MATCHED_MINUS_SHUFFLED
    return {
        "heldOutUpdates": len(updates),
        "cosine": mean,
        "shuffledCosine": other,
        "relativeError": sum(error) / len(error),
        "label": "informative codec" if informative else "prior-only",
    }
