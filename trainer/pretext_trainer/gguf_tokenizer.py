# Whether the tokenizer that Transformers makes of a GGUF is the one that the file describes. Some versions order the merges of
# a SentencePiece file wrongly or leave the begin token out: English then falls to letters and training spoils the model.
# Byte-level BPE is compared part by part; SentencePiece with the tokens of its own algorithm (the best score merges first).
import json

from gguf import GGUFReader
from transformers import PreTrainedTokenizerBase

from .failure import Failure

# How many digits stand together after each way to split that is known here (None: as many as there are merges).
DIGITS = {"gpt-2": None, "smollm": 1, "qwen2": 1, "tekken": 1, "llama-bpe": 3, "llama3": 3, "llama-v3": 3}
SAMPLES = [
    "The capital of France is",
    "the mail server's 123 windows were updated, and nobody noticed (not even once)",
    "Some under_scores: x = y + 42; don't 2,048 times in https://example.org",
]


def check(path: str, tokenizer: PreTrainedTokenizerBase) -> None:
    fields = GGUFReader(path).fields
    reason = why_not({k: f.contents() for k, f in fields.items() if k.startswith("tokenizer.ggml.")}, tokenizer)
    if reason is not None:
        raise Failure(
            "config",
            f"{path}: expected the tokenizer that the file describes, and Transformers makes another one ({reason})",
            "name the model's folder with safetensors and tokenizer.json, or its Hub id (owner/name), in place of the GGUF",
        )


def why_not(told: dict, tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Why the tokenizer is not the one that the file tells of, or None; `told`: its fields tokenizer.ggml.*."""
    field = lambda name, default=None: told.get(f"tokenizer.ggml.{name}", default)  # noqa: E731
    kind = field("model")
    if kind == "gpt2":
        reason = _byte_level(field, tokenizer)
    elif kind == "llama":
        reason = _sentencepiece(field, tokenizer)
    else:
        return f"one of kind {kind}, which cannot be checked"
    begins = field("add_bos_token", True if kind == "llama" else None)
    if reason is None and begins is not None:
        first = tokenizer("a")["input_ids"][0]
        if begins != (first == field("bos_token_id")):
            reason = f"{'no ' if begins else 'a '}begin token is put before a text"
    return reason


def _byte_level(field, tokenizer: PreTrainedTokenizerBase) -> str | None:
    splitting = field("pre", "default")
    if splitting not in DIGITS:
        return f'the splitting "{splitting}" is not known here'
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    if model["type"] != "BPE":
        return f"{model['type']} in place of BPE"
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    if merges != list(field("merges", [])):
        return "its merges are others or in another order"
    if any(model["vocab"].get(token, i) != i for i, token in enumerate(field("tokens"))):
        return "its entries have other numbers"
    together = DIGITS[splitting]
    text = "12345678"
    cut = [text] if together is None else [text[i : i + together] for i in range(0, len(text), together)]
    ids = [i for part in cut for i in tokenizer(part, add_special_tokens=False)["input_ids"]]
    if ids != tokenizer(text, add_special_tokens=False)["input_ids"]:
        return f'numbers are not split as in "{splitting}"'
    return None


def _sentencepiece(field, tokenizer: PreTrainedTokenizerBase) -> str | None:
    place = {token: i for i, token in enumerate(field("tokens"))}
    scores = field("scores")
    if scores is None:
        return "its entries have no scores"
    before = " " if field("add_space_prefix", True) else ""
    for sample in SAMPLES:
        pieces = list((before + sample).replace(" ", "▁"))
        while True:
            pairs = [(scores[place[a + b]], -i) for i, (a, b) in enumerate(zip(pieces, pieces[1:])) if a + b in place]
            if not pairs:
                break
            i = -max(pairs)[1]
            pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]
        if any(piece not in place for piece in pieces):
            continue
        if tokenizer(sample, add_special_tokens=False)["input_ids"] != [place[piece] for piece in pieces]:
            return "plain English falls into other tokens"
    return None
