# A Llama of seconds, with grouped heads as SmolLM2 has them, and clients of random tokens.
import os
import warnings

os.environ["PFL_PYTORCH_DEVICE"] = "cpu"
warnings.filterwarnings("ignore")

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pretext_trainer.fedlpp.clients import Client

torch.set_num_threads(1)


def llama(seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=60,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            initializer_range=0.2,
            tie_word_embeddings=True,
        )
    )


def clients(count: int, seed: int = 0) -> list[Client]:
    random = np.random.default_rng(seed)
    return [
        Client([random.integers(0, 60, random.integers(4, 12)) for _ in range(random.integers(1, 4))])
        for _ in range(count)
    ]
