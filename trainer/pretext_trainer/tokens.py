# From text to token sequences: a byte-level BPE vocabulary learned from public texts (GPT-2's way of splitting, so that
# llama.cpp reads it too), and sequences of at most 64 tokens as in the paper.
from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

# The end has GPT-2's name, because Transformers adds a token of that name to any byte-level BPE that it reads from a GGUF.
BEGIN, END, PAD = "<s>", "<|endoftext|>", "<pad>"


def learn_vocabulary(texts: Sequence[str], size: int) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=[BEGIN, END, PAD],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=None, special_tokens=[(BEGIN, tokenizer.token_to_id(BEGIN))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
    )


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], length: int, long: str = "cut"
) -> list[np.ndarray]:
    """One sequence for each text, as the tokenizer begins it and with its end token if that fits; long texts are cut, or
    split into several. Sequences of one token are left out: there is nothing to predict in them."""
    if not texts:
        return []
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    sequences = []
    for ids in tokenizer(list(texts), add_special_tokens=True, verbose=False)["input_ids"]:
        ids = [*ids, *end]
        last = len(ids) if long == "split" else min(len(ids), length)
        for start in range(0, last, length):
            piece = ids[start : start + length]
            if len(piece) > 1:
                sequences.append(np.asarray(piece, dtype=np.int64))
    return sequences
