"""Makes tiny-model/: a transformers.js model folder of a few kB that serves as masked language model and as embedder.

  pip install onnx==1.23.2 numpy==2.4.6
  python3 test/golden/tiny-model.py && npx biome check --write test/golden

One graph with two outputs. `logits` of a position are a row of a table chosen by the token there: a masked position gets
10 for "river", 9 for "stone" and 8 for "[SEP]", all else 0; any other token predicts itself. `last_hidden_state` is a
fixed random vector per token, so that a mean of them is a bag of words. Attention is not modelled.
"""

import json
import pathlib

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

WORDS = (
    "the a cat dog sat ran on under mat tree river stone bridge bird sang in rain sun and it was old new house "
    "garden light dark cold warm green"
).split()
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
SIZE, DIM = len(VOCABULARY), 16
index = {token: i for i, token in enumerate(VOCABULARY)}

logits = np.eye(SIZE, dtype=np.float32) * 20
logits[index["[MASK]"]] = 0
logits[index["[MASK]"], index["river"]] = 10
logits[index["[MASK]"], index["stone"]] = 9
logits[index["[MASK]"], index["[SEP]"]] = 8
hidden = np.random.default_rng(1).normal(size=(SIZE, DIM)).astype(np.float32)

ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "tokens"])
graph = helper.make_graph(
    [
        helper.make_node("Gather", ["logit_table", "input_ids"], ["logits"]),
        helper.make_node("Gather", ["hidden_table", "input_ids"], ["last_hidden_state"]),
    ],
    "tiny",
    [ids, mask],
    [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "tokens", SIZE]),
        helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", DIM]),
    ],
    [numpy_helper.from_array(logits, "logit_table"), numpy_helper.from_array(hidden, "hidden_table")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
checker.check_model(model)

folder = pathlib.Path(__file__).parent / "tiny-model"
(folder / "onnx").mkdir(parents=True, exist_ok=True)
(folder / "onnx" / "model.onnx").write_bytes(model.SerializeToString())


def write(name, value):
    (folder / name).write_text(json.dumps(value, indent=1) + "\n")


def special(token):
    return {
        "id": index[token], "content": token, "single_word": False, "lstrip": False, "rstrip": False,
        "normalized": False, "special": True,
    }


write("config.json", {
    "model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": DIM, "vocab_size": SIZE,
    "max_position_embeddings": 64, "num_attention_heads": 1, "num_hidden_layers": 0, "pad_token_id": index["[PAD]"],
})
write("tokenizer_config.json", {
    "tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 64, "unk_token": "[UNK]",
    "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]",
})
write("tokenizer.json", {
    "version": "1.0", "truncation": None, "padding": None,
    "added_tokens": [special(t) for t in ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]],
    "normalizer": {
        "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True,
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
        ],
        "pair": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 1}},
        ],
        "special_tokens": {
            "[CLS]": {"id": "[CLS]", "ids": [index["[CLS]"]], "tokens": ["[CLS]"]},
            "[SEP]": {"id": "[SEP]", "ids": [index["[SEP]"]], "tokens": ["[SEP]"]},
        },
    },
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "model": {
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": index,
    },
})
