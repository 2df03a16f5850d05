# The job "evaluate-model": how well a language model tells the next token of real texts, as sums for each client, so that
# intervals can be drawn over clients. The paper's protocol: sequences of 64 tokens; padding, the begin token and anything
# else that is not the text itself is not counted.
import json
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from .channel import Channel
from .failure import Failure
from .place import Place
from .start import checkpoint
from .step import memory_ran_out
from .stop import stop_wanted, stopped

# Ranks that count as right: top-1, top-3, top-5, top-10.
TOPS = (1, 3, 5, 10)


class Sequence:
    def __init__(self, client: int, ids: list[int], counted: list[bool], size: int):
        self.client, self.ids, self.counted, self.bytes = client, ids, counted, size


def sequences_of(tokenizer, rows: list[dict], length: int) -> tuple[list[Sequence], int]:
    """(one sequence for each text that has a token to predict, how many texts were cut)."""
    special = set(tokenizer.all_special_ids)
    encoded = tokenizer(
        [row["text"] for row in rows], add_special_tokens=True, return_offsets_mapping=True, verbose=False
    )
    sequences, cut = [], 0
    for row, ids, spans in zip(rows, encoded["input_ids"], encoded["offset_mapping"]):
        cut += len(ids) > length
        ids, spans = ids[:length], spans[:length]
        # Nothing stands before the first token, so it cannot be predicted.
        counted = [place > 0 and token not in special for place, token in enumerate(ids)]
        told = [span for span, counts in zip(spans, counted) if counts]
        if told:
            size = len(row["text"][told[0][0] : told[-1][1]].encode("utf-8", "replace"))
            sequences.append(Sequence(row["client"], ids, counted, size))
    return sequences, cut


def stacked(batch: list[Sequence], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, which of the tokens after the first count), filled up at the end, where causal attention of a counted token never looks."""
    longest = max(len(s.ids) for s in batch)
    ids = torch.zeros((len(batch), longest), dtype=torch.long)
    counted = torch.zeros((len(batch), longest), dtype=torch.bool)
    for i, sequence in enumerate(batch):
        ids[i, : len(sequence.ids)] = torch.tensor(sequence.ids)
        counted[i, : len(sequence.ids)] = torch.tensor(sequence.counted)
    return ids.to(device), counted.to(device)[:, 1:]


def sums_of(model, batch: list[Sequence], device: torch.device) -> np.ndarray:
    """For each sequence: tokens, cross-entropy in nats, and how often the next token was among the best 1, 3, 5, 10."""
    ids, counted = stacked(batch, device)
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    targets = ids[:, 1:]
    losses = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    own = logits.gather(2, targets[:, :, None])
    # A tie counts against the model: tokens as likely as the right one stand before it.
    ranks = (logits >= own).sum(dim=2) - 1
    figures = [counted.sum(dim=1).double(), (losses.double() * counted).sum(dim=1)]
    figures += [((ranks < top) & counted).sum(dim=1).double() for top in TOPS]
    return torch.stack(figures, dim=1).cpu().numpy()


# Numbers that a GPU computes for one pass of the head, at most: 1 GB of them in 32 bits.
ON_GPU = 2**28


def at_once(model, sequences: list[Sequence], device: torch.device) -> int:
    """Sequences for one pass: on a GPU so many that starting an operation costs less than the operation."""
    if device.type != "cuda":
        return 32
    longest = max(len(s.ids) for s in sequences)
    return max(32, min(512, ON_GPU // (longest * model.get_output_embeddings().weight.shape[0])))


@torch.inference_mode()
def sums_over(
    model,
    sequences: list[Sequence],
    device: torch.device,
    micro: int | None = None,
    told: Callable[[int], None] = lambda done: None,
    warn: Callable[[str], None] = lambda message: None,
) -> np.ndarray:
    """`sums_of` for all of them, `micro` at once, in their order; `told` is told how many are done. Fewer at once where memory
    runs out."""
    was_training = model.training
    model.eval()
    micro = micro or at_once(model, sequences, device)
    # Texts of one length go together; the order is put back at the end.
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i].ids))
    sums = np.zeros((len(sequences), 2 + len(TOPS)))
    done = 0
    while done < len(order):
        chosen = order[done : done + micro]
        try:
            sums[chosen] = sums_of(model, [sequences[i] for i in chosen], device)
        except RuntimeError as error:
            if not memory_ran_out(error) or micro == 1:
                raise
            micro //= 2
            warn(f"memory ran out: going on with {micro} sequences at once")
            continue
        done += len(chosen)
        told(done)
    model.train(was_training)
    return sums


def told_over(model, sequences: list[Sequence], device: torch.device) -> dict:
    """Loss in nats per token, accuracy and tokens over all of them, as results of jobs say it."""
    tokens, loss, right = sums_over(model, sequences, device).sum(axis=0)[:3]
    return {"loss": float(loss / tokens), "accuracy": float(right / tokens), "tokens": int(tokens)}


def run(job: dict, channel: Channel) -> dict:
    rows = [json.loads(line) for line in open(job["texts"], encoding="utf-8") if line.strip()]
    place = Place(job["device"], "fp32", job["threads"])
    begun = checkpoint({"from": "folder", "model": job["model"], "revision": None}, torch.float32)
    if not begun.tokenizer.is_fast:
        raise Failure("config", f"{job['model']}: expected a fast tokenizer (tokenizer.json), got a slow one")
    model = begun.model.to(place.device).eval()
    sequences, cut = sequences_of(begun.tokenizer, rows, job["sequenceTokens"])
    if not sequences:
        raise Failure("data", "expected texts with at least two tokens, got none")

    def told(done: int) -> None:
        if stop_wanted():
            raise stopped()
        channel.progress("next token", done, len(sequences), "texts")

    sums = sums_over(model, sequences, place.device, job["microBatch"], told, channel.warning)
    clients: dict[int, np.ndarray] = {}
    for sequence, figures in zip(sequences, sums):
        whole = np.append(figures, sequence.bytes)
        clients[sequence.client] = clients.get(sequence.client, np.zeros(len(whole))) + whole
    return {
        "clients": [
            {
                "tokens": int(c[0]),
                "crossEntropy": float(c[1]),
                "correct": [int(x) for x in c[2:6]],
                "bytes": int(c[6]),
            }
            for c in clients.values()
        ],
        "texts": len(sequences),
        "cut": int(cut),
        "vocabulary": len(begun.tokenizer),
        "parameters": sum(p.numel() for p in model.parameters()),
        "device": place.name,
    }
