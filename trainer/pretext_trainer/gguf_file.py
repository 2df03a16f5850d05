# A Llama with a byte-level BPE tokenizer as one GGUF file, which llama.cpp (and so the llm provider "llama") runs. Matrices
# are written as 16-bit floats, norms as 32-bit. llama.cpp rotates neighbouring pairs of a head where Transformers rotates
# its halves, so the rows of queries and keys are interleaved.
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .failure import Failure

# What a layer's weights are called there; the rest of the names are below.
LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def why_not(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Why this model cannot be written as GGUF here, or None."""
    if model.config.model_type != "llama":
        return f"its architecture is {model.config.model_type}, and only Llama is written"
    if getattr(model.config, "attention_bias", False) or getattr(model.config, "mlp_bias", False):
        return "it has biases in its projections"
    if _rope(model).get("rope_type", "default") not in ("default", None):
        return "its rotary embedding is scaled"
    if _splitting(tokenizer) is None:
        return "its tokenizer is not a byte-level BPE that llama.cpp knows"
    return None


def write(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: Path, name: str) -> None:
    reason = why_not(model, tokenizer)
    if reason is not None:
        raise Failure("config", f"no GGUF can be written: {reason}")
    config = model.config
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(name)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(float(_rope(model).get("rope_theta", 10000.0)))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rows = model.get_input_embeddings().weight.shape[0]
    writer.add_vocab_size(rows)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _vocabulary(writer, tokenizer, rows)
    for weight, tensor in _weights(model):
        # Norms stay exact; llama.cpp wants them in 32 bits.
        writer.add_tensor(weight, tensor.astype(np.float32 if tensor.ndim == 1 else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _rope(model: PreTrainedModel) -> dict:
    found = getattr(model.config, "rope_parameters", None) or {}
    return {"rope_theta": getattr(model.config, "rope_theta", 10000.0), **found}


def _weights(model: PreTrainedModel):
    config = model.config
    tied = config.tie_word_embeddings
    for name, parameter in model.state_dict().items():
        stem, kind = name.rsplit(".", 1)
        if kind != "weight" or (stem == "lm_head" and tied):
            continue
        array = parameter.detach().to(torch.float32).cpu().numpy()
        if stem in WHOLE:
            yield f"{WHOLE[stem]}.weight", array
            continue
        _, _, layer, rest = stem.split(".", 3)
        if rest == "self_attn.q_proj":
            array = _interleaved(array, config.num_attention_heads)
        elif rest == "self_attn.k_proj":
            array = _interleaved(array, config.num_key_value_heads)
        yield f"blk.{layer}.{LAYER[rest]}.weight", array


def _interleaved(rows: np.ndarray, heads: int) -> np.ndarray:
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def _splitting(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """llama.cpp's name for how the tokenizer splits text before BPE, where it is one of those that are known here."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    whole = json.loads(backend.to_str())
    if whole["model"]["type"] != "BPE" or whole.get("normalizer") is not None or whole["model"].get("byte_fallback"):
        return None
    splitter = whole.get("pre_tokenizer") or {}
    steps = splitter.get("pretokenizers", [splitter])
    kinds = [step.get("type") for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True) and not steps[0].get("add_prefix_space"):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits") and not steps[1].get("add_prefix_space"):
        return "smollm"
    return None


def _vocabulary(writer: gguf.GGUFWriter, tokenizer: PreTrainedTokenizerBase, rows: int) -> None:
    whole = json.loads(tokenizer.backend_tokenizer.to_str())
    by_id = {i: t for t, i in tokenizer.get_vocab().items()}
    special = {t["id"] for t in whole.get("added_tokens", []) if t["special"]}
    added = {t["id"] for t in whole.get("added_tokens", [])} - special
    tokens, types = [], []
    for i in range(rows):
        tokens.append(by_id.get(i, f"[PAD{i}]"))
        kind = gguf.TokenType.NORMAL if i in by_id else gguf.TokenType.UNUSED
        kind = gguf.TokenType.CONTROL if i in special else gguf.TokenType.USER_DEFINED if i in added else kind
        types.append(kind)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_splitting(tokenizer))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in whole["model"]["merges"]])
    for add, value in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_eos_token_id, tokenizer.eos_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
    ):
        if value is not None:
            add(value)
    begun = tokenizer("a", add_special_tokens=True)["input_ids"]
    writer.add_add_bos_token(bool(begun) and begun[0] == tokenizer.bos_token_id)
    writer.add_add_eos_token(False)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)
