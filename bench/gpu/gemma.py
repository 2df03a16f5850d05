"""A Gemma GGUF as a folder that Transformers loads, dequantised, with a tokenizer that is right.

    python3 bench/gpu/gemma.py MODEL.gguf FOLDER

Transformers 5.17 reads the weights of such a file, but gives its tokenizer merges in a wrong order and no <bos>: English falls
to pieces of one or two letters, and the loss of a sentence rises from 4.0 to 8.5. Here the merges follow from the scores, as in
SentencePiece: the better the score of the whole, the earlier its parts are merged.
"""

from __future__ import annotations

import os
import sys

import torch
from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

NORMAL, CONTROL, BYTE = 1, 3, 6


def tokenizer_of(path: str) -> PreTrainedTokenizerFast:
    fields = GGUFReader(path).fields
    whole = lambda name: fields[f"tokenizer.ggml.{name}"].contents()  # noqa: E731
    tokens, scores, kinds = whole("tokens"), whole("scores"), whole("token_type")
    place = {token: i for i, token in enumerate(tokens)}
    merges = []
    for token, score, kind in zip(tokens, scores, kinds):
        if kind != NORMAL or len(token) < 2:
            continue
        splits = [(token[:i], token[i:]) for i in range(1, len(token))]
        known = [(left, right) for left, right in splits if left in place and right in place]
        merges += [(-score, place[left], place[right], left, right) for left, right in known]
    merges.sort()
    unknown = tokens[whole("unknown_token_id")]
    model = models.BPE(place, [m[3:] for m in merges], unk_token=unknown, fuse_unk=True, byte_fallback=True)
    made = Tokenizer(model)
    made.normalizer = normalizers.Replace(" ", "▁")
    made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    bos, eos, pad = (tokens[whole(f"{name}_token_id")] for name in ("bos", "eos", "padding"))
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, kinds) if k == CONTROL])
    made.post_processor = processors.TemplateProcessing(f"{bos} $A", f"{bos} $A {bos} $B", [(bos, place[bos])])
    names = {"bos_token": bos, "eos_token": eos, "pad_token": pad, "unk_token": unknown}
    return PreTrainedTokenizerFast(tokenizer_object=made, clean_up_tokenization_spaces=False, **names)


def main(path: str, folder: str) -> None:
    tokenizer = tokenizer_of(path)
    told = tokenizer("The capital of France is").input_ids
    if told != [2, 818, 5279, 529, 7001, 563]:
        raise SystemExit(f"expected the tokens of Gemma 3, got {told}")
    source, file = os.path.split(os.path.abspath(path))
    saved = os.environ.get("STATE")  # a state saved before: reading the file takes minutes on a slow CPU
    if saved is None:
        read = AutoModelForCausalLM.from_pretrained(source, gguf_file=file, dtype=torch.float32)
        config, state = read.config, read.state_dict()
    else:
        config, state = AutoConfig.from_pretrained(source, gguf_file=file), torch.load(saved)
    # What was read from a GGUF refuses to be saved; the same weights in a model of their own do not.
    plain = config.to_dict()
    plain.pop("quantization_config", None)
    config = type(config).from_dict(plain)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(state)
    ids = torch.tensor([told])
    loss = model(ids, labels=ids).loss.item()
    print(f"loss of a plain sentence: {loss:.3f}")
    if loss > 6:
        raise SystemExit("expected a loss of about 4: the weights are not right")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
