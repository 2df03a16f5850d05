# The tokenizer that a GGUF describes. Byte-level BPE is made by Transformers and compared with the file part by part. For
# SentencePiece some versions order the merges wrongly or leave the begin token out: English then falls to letters and training
# spoils the model. So it is made here, and compared with the tokens of SentencePiece's algorithm (the best score merges first).
import json

from gguf import GGUFReader, TokenType
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from .failure import Failure
from .gguf_vocabulary import SPACE

# How many digits stand together after each way to split that is known here (None: as many as there are merges).
DIGITS = {"gpt-2": None, "smollm": 1, "qwen2": 1, "tekken": 1, "llama-bpe": 3, "llama3": 3, "llama-v3": 3}
SAMPLES = [
    "The capital of France is",
    "the mail server's 123 windows were updated, and nobody noticed (not even once)",
    "Some under_scores: x = y + 42; don't 2,048 times in https://example.org",
]


def load(path: str, folder: str, file: str) -> PreTrainedTokenizerBase:
    """The tokenizer of the GGUF at `path`, which is `file` in `folder`."""
    fields = GGUFReader(path).fields
    told = {k: f.contents() for k, f in fields.items() if k.startswith(("tokenizer.ggml.", "tokenizer.chat_template"))}
    if told.get("tokenizer.ggml.model") == "llama" and "tokenizer.ggml.scores" in told:
        tokenizer = sentencepiece(told)
    else:
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
    reason = why_not(told, tokenizer)
    if reason is None:
        return tokenizer
    raise Failure(
        "config",
        f"{path}: expected the tokenizer that the file describes, and Transformers makes another one ({reason})",
        "name the model's folder with safetensors and tokenizer.json, or its Hub id (owner/name), in place of the GGUF",
    )


def sentencepiece(told: dict) -> PreTrainedTokenizerFast:
    """Merges that follow from the scores: the better that of the whole, the earlier its parts are merged."""
    field = lambda name, default=None: told.get(f"tokenizer.ggml.{name}", default)  # noqa: E731
    tokens, scores = field("tokens"), field("scores")
    kinds = field("token_type") or [TokenType.NORMAL] * len(tokens)
    place = {token: i for i, token in enumerate(tokens)}
    merges = []
    for token, score, kind in zip(tokens, scores, kinds):
        if kind != TokenType.NORMAL:
            continue
        splits = [(token[:i], token[i:]) for i in range(1, len(token))]
        merges += [(-score, place[token], pair) for pair in splits if pair[0] in place and pair[1] in place]
    merges.sort()
    names = {f"{name}_token": tokens[i] for name in ("bos", "eos") if (i := field(f"{name}_token_id")) is not None}
    for name, key in (("unk_token", "unknown_token_id"), ("pad_token", "padding_token_id")):
        if (i := field(key)) is not None:
            names[name] = tokens[i]
    falls = any(kind == TokenType.BYTE for kind in kinds)
    bpe = models.BPE(place, [pair for _, _, pair in merges], unk_token=names.get("unk_token"), fuse_unk=True, byte_fallback=falls)
    made = Tokenizer(bpe)
    space, prefix = normalizers.Replace(" ", SPACE), field("add_space_prefix", True)
    made.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), space]) if prefix else space
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefix else steps)
    by_kind = lambda wanted: [t for t, kind in zip(tokens, kinds) if kind == wanted]  # noqa: E731
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in by_kind(TokenType.CONTROL)])
    made.add_tokens([AddedToken(t, special=False, normalized=False) for t in by_kind(TokenType.USER_DEFINED)])
    begin = names.get("bos_token")
    if begin is not None and field("add_bos_token", True):
        made.post_processor = processors.TemplateProcessing(f"{begin} $A", f"{begin} $A {begin} $B", [(begin, place[begin])])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, clean_up_tokenization_spaces=False, **names)
    tokenizer.chat_template = told.get("tokenizer.chat_template")
    return tokenizer


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
        pieces = list((before + sample).replace(" ", SPACE))
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
