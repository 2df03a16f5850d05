# Membership inference: does a model know a client's texts better than those of clients that it never saw? Three attacks, the
# higher the score the more a member: the loss; the loss minus that of the start (reference); Min-K%++ (Zhang et al., ICLR
# 2025), the mean over the least likely tokens of how far their log-probability lies from what the model expects there.
# One score for each client, because the client is the unit of privacy.
from typing import Callable

import numpy as np
import torch
from scipy.stats import rankdata

from ..fedlpp.clients import Client
from ..step import padded

ATTACKS = ("loss", "reference", "min-k++")
# Share of a text's tokens that Min-K%++ looks at.
LEAST = 0.2


def _text_figures(forward: Callable, sequences: list[np.ndarray], device: torch.device) -> np.ndarray:
    """Of each text: sum of its cross-entropies, its tokens, and Min-K%++."""
    ids, labels = padded(sequences, device)
    targets = labels[:, 1:]
    known = targets >= 0
    log_p = forward(ids)[:, :-1].float().log_softmax(dim=-1)
    own = log_p.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]
    p = log_p.exp()
    mean = (p * log_p).sum(dim=-1)
    spread = ((p * log_p.square()).sum(dim=-1) - mean.square()).clamp(min=1e-6).sqrt()
    unusual = (own - mean) / spread
    figures = []
    for row in range(len(sequences)):
        z = unusual[row][known[row]]
        least = z.sort().values[: max(1, int(len(z) * LEAST))]
        figures.append([-float(own[row][known[row]].double().sum()), len(z), float(least.mean())])
    return np.array(figures)


@torch.no_grad()
def client_figures(forward: Callable, clients: list[Client], device: torch.device, micro: int) -> np.ndarray:
    """Of each client: mean loss of its tokens, mean Min-K%++ of its texts, tokens."""
    sequences = [s for c in clients for s in c.sequences]
    owner = np.repeat(np.arange(len(clients)), [len(c.sequences) for c in clients])
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    figures = np.zeros((len(sequences), 3))
    for start in range(0, len(order), micro):
        chosen = order[start : start + micro]
        figures[chosen] = _text_figures(forward, [sequences[i] for i in chosen], device)
    texts = np.bincount(owner)
    loss, tokens, least = (np.bincount(owner, figures[:, k]) for k in range(3))
    return np.stack([loss / tokens, least / texts, tokens], axis=1)


def scores_of(figures: np.ndarray, before: np.ndarray) -> dict[str, np.ndarray]:
    return {"loss": -figures[:, 0], "reference": before[:, 0] - figures[:, 0], "min-k++": figures[:, 1]}


def auc(members: np.ndarray, others: np.ndarray) -> float:
    """Probability that a member's score is above another's; ties count half."""
    ranks = rankdata(np.concatenate([members, others]))[: len(members)]
    return float((ranks.sum() - len(members) * (len(members) + 1) / 2) / (len(members) * len(others)))


def attack_row(members: np.ndarray, others: np.ndarray, resamples: int, seed: int) -> dict[str, float]:
    """AUC with its 95% bootstrap interval over clients, and the share of members found where 1% of the others are."""
    random = np.random.default_rng([seed, 41])
    draws = [
        auc(random.choice(members, len(members)), random.choice(others, len(others))) for _ in range(resamples)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    threshold = np.quantile(others, 0.99)
    return {
        "auc": auc(members, others),
        "aucLow": float(low),
        "aucHigh": float(high),
        "tprAt1": float((members > threshold).mean()),
    }


def audit_counts(members: np.ndarray, others: np.ndarray) -> dict[str, int]:
    """Hits and false alarms of one threshold on the second half of the clients, chosen on the first half as the one with the
    largest log-ratio of hits to false alarms (both with one added), so that exact intervals hold for them."""
    half_m, half_o = len(members) // 2, len(others) // 2
    candidates = np.unique(np.concatenate([members[:half_m], others[:half_o]]))

    def strength(t: float) -> float:
        hits, alarms = (members[:half_m] >= t).sum() + 1, (others[:half_o] >= t).sum() + 1
        return float(np.log(hits / (half_m + 2)) - np.log(alarms / (half_o + 2)))

    threshold = max(candidates, key=strength)
    return {
        "hits": int((members[half_m:] >= threshold).sum()),
        "hitTrials": len(members) - half_m,
        "falseAlarms": int((others[half_o:] >= threshold).sum()),
        "falseAlarmTrials": len(others) - half_o,
    }
