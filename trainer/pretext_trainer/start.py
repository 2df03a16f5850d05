# Where training starts: a small Llama of random weights, or a checkpoint (folder, Hub id, GGUF), with the tokenizer that
# belongs to it. What does not fit together is refused before anything is trained.
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from . import gguf_tokenizer
from .channel import Channel
from .failure import Failure
from .texts import read_texts
from .tokens import learn_vocabulary


@dataclass
class Start:
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    dequantised: bool


def scratch(wanted: dict, length: int, seed: int, kept: Path | None, channel: Channel) -> Start:
    """A Llama of random weights. `kept` is the tokenizer that an earlier process of the same training used."""
    tokenizer = _tokenizer(wanted, kept, channel)
    if wanted["width"] % wanted["heads"] != 0:
        raise Failure("config", f"expected a width that {wanted['heads']} heads divide, got {wanted['width']}")
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=wanted["width"],
            intermediate_size=wanted["feedForward"],
            num_hidden_layers=wanted["layers"],
            num_attention_heads=wanted["heads"],
            num_key_value_heads=wanted["heads"],
            # Longer than what is trained, so that a tool that asks for a usual context gets one.
            max_position_embeddings=max(length, 512),
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    return Start(model, tokenizer, dequantised=False)


def _tokenizer(wanted: dict, kept: Path | None, channel: Channel) -> PreTrainedTokenizerBase:
    if kept is not None:
        return AutoTokenizer.from_pretrained(kept)
    if wanted["tokenizer"] is not None:
        return _load_tokenizer(wanted["tokenizer"], {})
    texts = read_texts(wanted["vocabularyTexts"], "the texts for the vocabulary")
    tokenizer = learn_vocabulary(texts, wanted["vocabulary"])
    if len(tokenizer) < wanted["vocabulary"]:
        channel.note(f"the texts gave a vocabulary of {len(tokenizer)} entries ({wanted['vocabulary']} were asked for)")
    return tokenizer


def checkpoint(wanted: dict, dtype: torch.dtype, **more: object) -> Start:
    source, name = wanted["from"], wanted["model"]
    where: dict = {}
    if source == "hub":
        where = {"revision": wanted["revision"]} if wanted["revision"] is not None else {}
    elif source == "gguf":
        if not os.path.isfile(name):
            raise Failure("config", f"expected a GGUF file at {name}, found none")
        name, where = os.path.dirname(os.path.abspath(name)), {"gguf_file": os.path.basename(name)}
    elif not os.path.isfile(os.path.join(name, "config.json")):
        raise Failure(
            "config",
            f"expected a model folder with config.json at {name}, found none",
            "name the folder that `pretext train` wrote (OUT/model), a Hub id (owner/name) or a GGUF file",
        )
    _check_architecture(name, where, wanted)
    tokenizer = _load_tokenizer(name, where)
    try:
        model, told = AutoModelForCausalLM.from_pretrained(name, dtype=dtype, output_loading_info=True, **where, **more)
    except Exception as error:
        raise _not_loaded(wanted, error) from error
    absent = sorted(told.get("missing_keys", ()))
    if absent or told.get("mismatched_keys"):
        bad = absent[0] if absent else str(sorted(told["mismatched_keys"])[0])
        raise Failure("config", f"{wanted['model']}: its weights are not those of its config.json ({bad} does not fit)")
    if source == "gguf":
        model = _plain(model, dtype)
    rows = model.get_input_embeddings().weight.shape[0]
    if source == "gguf" and rows < len(tokenizer) <= rows + 8:
        # Special tokens that Transformers adds while it reads a GGUF; no text is ever made of them.
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        rows = len(tokenizer)
    if len(tokenizer) > rows:
        raise Failure(
            "config",
            f"{wanted['model']}: its tokenizer has {len(tokenizer)} entries and the model only {rows}: they do not belong together",
            "use the tokenizer that the model was trained with",
        )
    return Start(model, tokenizer, dequantised=source == "gguf")


def _plain(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """The same weights without the mark that they were quantised, which would keep the model from being saved."""
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=dtype)
    plain.load_state_dict(model.state_dict())
    plain.generation_config = model.generation_config
    return plain


def _check_architecture(name: str, where: dict, wanted: dict) -> None:
    called = wanted["model"]
    try:
        config = AutoConfig.from_pretrained(name, **where)
    except Exception as error:
        raise _not_loaded(wanted, error) from error
    named = (config.architectures or [""])[0]
    decoder = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if not decoder or (named and not named.endswith(("CausalLM", "LMHeadModel", "ConditionalGeneration"))):
        raise Failure(
            "config",
            f"{called}: expected a language model that writes from left to right, got {named or config.model_type}",
            "name a decoder, like a Llama, GPT-2, Gemma or Qwen",
        )


def _load_tokenizer(name: str, where: dict) -> PreTrainedTokenizerBase:
    try:
        if file := where.get("gguf_file"):
            tokenizer = gguf_tokenizer.load(os.path.join(name, file), name, file)
        else:
            tokenizer = AutoTokenizer.from_pretrained(name, **where)
    except Failure:
        raise
    except Exception as error:
        raise Failure("config", f"expected a tokenizer in {name}, could not load one ({type(error).__name__})") from error
    if len(tokenizer) == 0:
        raise Failure("config", f"expected a tokenizer in {name}, got one without entries")
    return tokenizer


def _not_loaded(wanted: dict, error: Exception) -> Failure:
    if wanted["from"] == "hub":
        return _not_fetched(wanted, error)
    reason = str(error).splitlines()[0][:200] if isinstance(error, (ValueError, OSError, KeyError)) else ""
    return Failure(
        "config",
        f"{wanted['model']}: Transformers could not load it ({type(error).__name__}{': ' + reason if reason else ''})",
        "the file may be damaged, or of an architecture that Transformers does not know",
    )


def _not_fetched(wanted: dict, error: Exception) -> Failure:
    """Why a model of the Hub is not there, by kinds of errors alone: their words may quote a token."""
    called = wanted["model"] if wanted["revision"] is None else f"{wanted['model']}@{wanted['revision']}"
    instead = "name a local folder or GGUF file"
    offline = _offline_by()
    if offline is not None and isinstance(error, OSError):
        return Failure(
            "dependency",
            f"{called} is not in the cache of the Hugging Face Hub, and {offline} forbids to fetch it",
            f"unset it for the first use, or {instead}",
        )
    chain = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None and before not in chain:
        chain.append(before)
    kinds = [type(each).__name__ for each in chain]
    answers = (getattr(getattr(each, "response", None), "status_code", None) for each in chain)
    status = next((answer for answer in answers if answer is not None), None)
    if {"RepositoryNotFoundError", "RevisionNotFoundError"} & set(kinds) or (
        # A model that is there may still lack a file.
        status == 404 and not {"EntryNotFoundError", "RemoteEntryNotFoundError"} & set(kinds)
    ):
        return Failure(
            "dependency",
            f"the Hugging Face Hub has no model {called}",
            f"check the name (a private model needs HF_TOKEN), or {instead}",
        )
    if status is None and "LocalEntryNotFoundError" in kinds:
        return Failure(
            "dependency",
            f"could not reach the Hugging Face Hub for {called} ({kinds[-1]})",
            f"check the network, or {instead}",
        )
    return Failure(
        "dependency",
        f"could not load {called} from the Hugging Face Hub ({kinds[0] if status is None else f'HTTP {status}'})",
        f"check the name and the network (HF_TOKEN for gated models), or {instead}",
    )


def _offline_by() -> str | None:
    """The variable that forbids the network, if one does. PRETEXT_OFFLINE sets the other two (src/finetune/run-job.ts)."""
    names = ("PRETEXT_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return next((name for name in names if os.environ.get(name, "").lower() in ("1", "true", "yes", "on")), None)
