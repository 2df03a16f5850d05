# A tokenizer as the fields of a GGUF: a byte-level BPE with its merges and llama.cpp's name for how it splits text, or a
# SentencePiece one (Gemma, Llama 2) with a score for each entry. What llama.cpp would split otherwise is refused.
import json

import gguf
from transformers import PreTrainedTokenizerBase

# The regular expressions that split text before BPE, by llama.cpp's names.
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITTINGS = {
    _CONTRACTIONS + r"\p{N}" + _REST: "qwen2",
    _CONTRACTIONS + r"\p{N}{1,3}" + _REST: "llama-bpe",
}
SPACE = "▁"


def kind_of(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """"llama" for SentencePiece, else the name of the splitting; None for what is not known here."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    whole = json.loads(backend.to_str())
    if whole["model"]["type"] != "BPE":
        return None
    if whole["model"].get("byte_fallback"):
        return None if _space_prefix(whole) is None or _scores(whole) is None else "llama"
    return _splitting(whole)


def write(writer: gguf.GGUFWriter, tokenizer: PreTrainedTokenizerBase, rows: int) -> None:
    kind = kind_of(tokenizer)
    whole = json.loads(tokenizer.backend_tokenizer.to_str())
    by_id = {i: t for t, i in tokenizer.get_vocab().items()}
    special = {t["id"] for t in whole.get("added_tokens", []) if t["special"]}
    added = {t["id"] for t in whole.get("added_tokens", [])} - special
    types = [_type(by_id.get(i), i in special, i in added, kind) for i in range(rows)]
    tokens = [by_id.get(i, f"[PAD{i}]") for i in range(rows)]
    if kind == "llama":
        # An added token is looked for in the text as it is, before spaces are replaced.
        tokens = [t.replace(SPACE, " ") if k == gguf.TokenType.USER_DEFINED else t for t, k in zip(tokens, types)]
        scores = _scores(whole)
        writer.add_tokenizer_model("llama")
        writer.add_token_scores([scores.get(t, 0.0) for t in tokens])
        writer.add_add_space_prefix(_space_prefix(whole))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(kind)
        writer.add_token_merges([" ".join(m) for m in _merges(whole)])
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    for add, value in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_eos_token_id, tokenizer.eos_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
        (writer.add_unk_token_id, tokenizer.unk_token_id),
    ):
        if value is not None:
            add(value)
    begun = tokenizer("a", add_special_tokens=True)["input_ids"]
    writer.add_add_bos_token(bool(begun) and begun[0] == tokenizer.bos_token_id)
    writer.add_add_eos_token(False)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _type(token: str | None, special: bool, added: bool, kind: str | None) -> gguf.TokenType:
    if token is None:
        return gguf.TokenType.UNUSED
    if special:
        return gguf.TokenType.CONTROL
    if kind == "llama" and _is_byte(token):
        return gguf.TokenType.BYTE
    return gguf.TokenType.USER_DEFINED if added else gguf.TokenType.NORMAL


def _merges(whole: dict) -> list[tuple[str, str]]:
    return [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in whole["model"]["merges"]]


def _splitting(whole: dict) -> str | None:
    splitter = whole.get("pre_tokenizer") or {}
    steps = splitter.get("pretokenizers", [splitter])
    kinds = [step.get("type") for step in steps]
    if kinds == ["Split", "ByteLevel"] and not steps[1].get("use_regex", True):
        # Qwen composes characters first (NFC); llama.cpp takes the text as it comes.
        composed = whole.get("normalizer") in (None, {"type": "NFC"})
        name = SPLITTINGS.get(steps[0].get("pattern", {}).get("Regex"))
        return name if composed and steps[0].get("behavior") == "Isolated" else None
    if whole.get("normalizer") is not None or any(step.get("add_prefix_space") for step in steps):
        return None
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    return None


def _space_prefix(whole: dict) -> bool | None:
    """Whether a space is put before a text; None where spaces are not replaced as SentencePiece does."""
    found = whole.get("normalizer") or {}
    steps = found.get("normalizers", [found])
    replaces = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    prepends = {"type": "Prepend", "prepend": SPACE}
    if steps == [replaces]:
        return False
    return True if steps == [prepends, replaces] else None


def _scores(whole: dict) -> dict[str, float] | None:
    """A score for each entry that two others make: the earlier it is merged, the better. None where no scores say what the
    merges do: pairs that make one entry stand apart, or two entries that make a third are no pair."""
    scores: dict[str, float] = {}
    before = ""
    for left, right in _merges(whole):
        made = left + right
        if made != before and made in scores:
            return None
        if made != before:
            scores[made] = -float(len(scores))
        before = made
    pairs = {tuple(pair) for pair in _merges(whole)}
    vocabulary = whole["model"]["vocab"]
    added = {token["content"] for token in whole.get("added_tokens", [])}
    for made in vocabulary.keys() - added:
        for i in range(1, len(made)):
            pair = (made[:i], made[i:])
            if pair not in pairs and pair[0] in vocabulary and pair[1] in vocabulary and not _is_byte(made):
                return None
    return scores


def _is_byte(token: str) -> bool:
    return len(token) == 6 and token.startswith("<0x") and token.endswith(">")
