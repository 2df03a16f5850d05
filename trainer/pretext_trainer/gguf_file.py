# A tuned model as one GGUF file, which llama.cpp (and so the llm provider "llama") runs: Llama, Qwen 2 and 3, Gemma 3. Names
# of weights come from the gguf package. Matrices are written as 16-bit floats, norms and biases as 32-bit.
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from . import gguf_vocabulary
from .failure import Failure

# Transformers' model_type -> llama.cpp's architecture.
ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
}
# llama.cpp knows by itself which layers of Gemma 3 see all of the text: each sixth.
GEMMA_PATTERN = 6


def why_not(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Why this model cannot be written as GGUF here, or None."""
    config = model.config
    if config.model_type not in ARCHITECTURES:
        return f"its architecture is {config.model_type}, and only Llama, Qwen 2, Qwen 3 and Gemma 3 are written"
    if config.model_type == "llama" and (getattr(config, "attention_bias", False) or getattr(config, "mlp_bias", False)):
        return "it has biases in its projections"
    if config.model_type == "gemma3_text":
        if reason := _gemma_differs(config):
            return reason
    elif getattr(config, "use_sliding_window", False):
        return "its attention slides"
    if any(rope.get("rope_type", "default") not in ("default", None) for rope in _ropes(config)):
        return "its rotary embedding is scaled"
    if gguf_vocabulary.kind_of(tokenizer) is None:
        return "its tokenizer is not one that llama.cpp knows"
    return None


def _gemma_differs(config) -> str | None:
    full = [(i + 1) % GEMMA_PATTERN == 0 for i in range(config.num_hidden_layers)]
    if [kind == "full_attention" for kind in config.layer_types] != full:
        return "its attention slides in other layers than llama.cpp expects"
    if config.query_pre_attn_scalar != config.head_dim:
        return "its queries are scaled otherwise than llama.cpp expects"
    if config.final_logit_softcapping or config.attn_logit_softcapping or config.use_bidirectional_attention:
        return "its logits are capped or its attention looks ahead"
    return None


def write(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: Path, name: str) -> None:
    reason = why_not(model, tokenizer)
    if reason is not None:
        raise Failure("config", f"no GGUF can be written: {reason}")
    config = model.config
    architecture = ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(str(path), gguf.MODEL_ARCH_NAMES[architecture])
    writer.add_name(name)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    head = _head(config)
    writer.add_key_length(head)
    writer.add_value_length(head)
    if architecture == gguf.MODEL_ARCH.LLAMA:
        writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(float(_ropes(config)[0].get("rope_theta", 10000.0)))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if architecture == gguf.MODEL_ARCH.GEMMA3:
        writer.add_sliding_window(config.sliding_window)
        writer.add_rope_freq_base_swa(float(_ropes(config)[1].get("rope_theta", 10000.0)))
    rows = model.get_input_embeddings().weight.shape[0]
    writer.add_vocab_size(rows)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    gguf_vocabulary.write(writer, tokenizer, rows)
    for weight, tensor in _weights(model, architecture):
        writer.add_tensor(weight, tensor.astype(np.float32 if tensor.ndim == 1 else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _head(config) -> int:
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def _ropes(config) -> list[dict]:
    """Of all layers; for Gemma 3 first of those that see everything, then of those that slide."""
    found = getattr(config, "rope_parameters", None) or {}
    if "full_attention" in found:
        return [found["full_attention"], found["sliding_attention"]]
    return [{"rope_theta": getattr(config, "rope_theta", 10000.0), **found}]


def _weights(model: PreTrainedModel, architecture: gguf.MODEL_ARCH):
    config = model.config
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    for name, parameter in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array = parameter.detach().to(torch.float32).cpu().numpy()
        if architecture == gguf.MODEL_ARCH.LLAMA and name.endswith(("self_attn.q_proj.weight", "self_attn.k_proj.weight")):
            array = _interleaved(array, array.shape[0] // _head(config))
        if architecture == gguf.MODEL_ARCH.GEMMA3 and name.endswith("norm.weight"):
            # Gemma multiplies by one more than what it keeps; llama.cpp by what the file says.
            array = array + 1
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if known is None:
            raise Failure("unexpected", f"the weight {name} has no name in a GGUF of {config.model_type}")
        yield known, array


def _interleaved(rows: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp rotates neighbouring pairs of a head of a Llama where Transformers rotates its halves."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)
