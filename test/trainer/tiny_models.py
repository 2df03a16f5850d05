# Language models of random weights, one of each architecture that is written as GGUF, with a tokenizer of its kind.
#   python tiny_models.py FOLDER: FOLDER/NAME.gguf of each, and on stdout what Transformers says of SENTENCE: its tokens, and
#   the probabilities of all tokens after it.
import json
import sys
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from pretext_trainer import gguf_file, gguf_tokenizer, gguf_vocabulary

SENTENCE = "The mail server's 123 windows (naïve ones too) were closed."
TEXTS = [SENTENCE, "It's a small server for mail, news and 2048 windows.", "Were the windows closed, or was the mail lost?"] * 4
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
}
ARCHITECTURES = ("llama", "llama-untied", "qwen2", "qwen3", "gemma3_text")


def byte_level(splitting: str) -> PreTrainedTokenizerFast:
    made = Tokenizer(models.BPE())
    pattern = next((regex for regex, name in gguf_vocabulary.SPLITTINGS.items() if name == splitting), None)
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    split = [] if pattern is None else [pre_tokenizers.Split(Regex(pattern), "isolated")]
    made.pre_tokenizer = pre_tokenizers.Sequence([*split, last]) if split else last
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "<|endoftext|>", "<pad>"]
    made.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=330, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    made.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="<|endoftext|>", pad_token="<pad>")


def sentencepiece_tokenizer(reorder=lambda merges: merges) -> PreTrainedTokenizerFast:
    """As Gemma's: entries with scores, bytes for what is unknown, two new lines in one added token."""
    letters = sorted({letter for text in TEXTS for letter in text.replace(" ", "▁")} - {"ï"})
    words = sorted({f"▁{word}" for text in TEXTS for word in text.split() if word.isalpha() and word.isascii()})
    grown = [word[:end] for word in words for end in range(2, len(word) + 1)]
    suffixes = ["er", "ver", "rver", "ow", "dow", "indow", "ma", "il", "ail"]
    pieces = list(dict.fromkeys([*suffixes, *grown]))
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", "\n\n", *[f"<0x{byte:02X}>" for byte in range(256)], *pieces, *letters]
    kinds = [3, 3, 3, 2, 4, *[6] * 256, *[1] * (len(pieces) + len(letters))]
    ids = {"bos": 2, "eos": 1, "padding": 0, "unknown": 3}
    told = {
        "tokens": tokens,
        "scores": [-float(i) for i in range(len(tokens))],
        "token_type": kinds,
        "add_space_prefix": False,
        "add_bos_token": True,
        **{f"{name}_token_id": i for name, i in ids.items()},
    }
    made = gguf_tokenizer.sentencepiece({f"tokenizer.ggml.{name}": value for name, value in told.items()})
    whole = json.loads(made.backend_tokenizer.to_str())
    whole["model"]["merges"] = reorder(whole["model"]["merges"])
    made._tokenizer = Tokenizer.from_str(json.dumps(whole))
    return made


def tiny_model(name: str):
    tokenizer = sentencepiece_tokenizer() if name == "gemma3_text" else byte_level("qwen2" if name.startswith("qwen") else "gpt-2")
    ids = {f"{kind}_token_id": getattr(tokenizer, f"{kind}_token_id") for kind in ("bos", "eos", "pad")}
    shape = {**SHAPE, **ids, "vocab_size": len(tokenizer)}
    torch.manual_seed(7)
    if name == "gemma3_text":
        # Seven layers: one sees everything, the others 8 tokens.
        config = Gemma3TextConfig(**{**shape, "head_dim": 256}, num_hidden_layers=7, sliding_window=8)
        model = Gemma3ForCausalLM(config)
    elif name == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**{**shape, "head_dim": 8}, num_hidden_layers=2, tie_word_embeddings=True))
    elif name == "qwen3":
        model = Qwen3ForCausalLM(Qwen3Config(**{**shape, "head_dim": 128}, num_hidden_layers=2, tie_word_embeddings=True))
    else:
        model = LlamaForCausalLM(LlamaConfig(**shape, num_hidden_layers=2, tie_word_embeddings=name == "llama"))
    with torch.no_grad():
        for weight_name, weight in model.named_parameters():
            # Norms and biases begin at one value: a mistake in them would not be seen.
            if weight.ndim == 1:
                weight.add_(torch.randn_like(weight) * 0.2)
    return model.eval(), tokenizer


def main(folder: Path) -> None:
    said = {}
    for name in ARCHITECTURES:
        model, tokenizer = tiny_model(name)
        gguf_file.write(model, tokenizer, folder / f"{name}.gguf", name)
        ids = tokenizer(SENTENCE)["input_ids"]
        with torch.no_grad():
            last = torch.softmax(model(torch.tensor([ids])).logits[0, -1], dim=-1)
        said[name] = {"tokens": ids, "probabilities": last.tolist()}
    print(json.dumps({"sentence": SENTENCE, "models": said}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
