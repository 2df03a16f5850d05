# GGUF files of each architecture and tokenizer that is written, read back by Transformers, which has code of its own for it.
# (That llama.cpp computes the same is held by test/finetune/gguf.test.ts.)
import unittest

import torch
from tiny_models import ARCHITECTURES, SENTENCE, byte_level, sentencepiece_tokenizer, tiny_model
from test_trainer import WithFolder
from tokenizers import normalizers

from pretext_trainer import gguf_file, gguf_vocabulary, start


class ArchitectureTest(WithFolder):
    def test_each_is_the_same_model_when_it_is_read_back(self):
        for name in ARCHITECTURES:
            with self.subTest(name):
                model, tokenizer = tiny_model(name)
                path = self.folder / f"{name}.gguf"
                self.assertIsNone(gguf_file.why_not(model, tokenizer))
                gguf_file.write(model, tokenizer, path, name)
                again = start.checkpoint({"from": "gguf", "model": str(path), "revision": None}, torch.float32)
                ids = tokenizer(SENTENCE, return_tensors="pt")["input_ids"]
                self.assertEqual(again.tokenizer(SENTENCE)["input_ids"], ids[0].tolist())
                self.assertEqual(again.tokenizer.decode(ids[0], skip_special_tokens=True), SENTENCE)
                with torch.no_grad():
                    torch.testing.assert_close(again.model(ids).logits, model(ids).logits, atol=2e-2, rtol=2e-2)

    def test_what_llama_cpp_would_compute_otherwise_is_not_written(self):
        changes = {
            "llama": ({"attention_bias": True}, "it has biases in its projections"),
            "qwen2": ({"use_sliding_window": True}, "its attention slides"),
            "gemma3_text": ({"query_pre_attn_scalar": 5}, "its queries are scaled otherwise than llama.cpp expects"),
        }
        for name, (change, reason) in changes.items():
            with self.subTest(name):
                model, tokenizer = tiny_model(name)
                for key, value in change.items():
                    setattr(model.config, key, value)
                self.assertEqual(gguf_file.why_not(model, tokenizer), reason)
        model, tokenizer = tiny_model("gemma3_text")
        model.config.layer_types = ["sliding_attention"] * len(model.config.layer_types)
        reason = "its attention slides in other layers than llama.cpp expects"
        self.assertEqual(gguf_file.why_not(model, tokenizer), reason)
        model.config.layer_types = tiny_model("gemma3_text")[0].config.layer_types
        model.config.final_logit_softcapping = 30.0
        self.assertIn("capped", gguf_file.why_not(model, tokenizer))


class VocabularyTest(unittest.TestCase):
    def test_each_kind_is_known_by_its_parts(self):
        self.assertEqual(gguf_vocabulary.kind_of(byte_level("gpt-2")), "gpt-2")
        self.assertEqual(gguf_vocabulary.kind_of(byte_level("qwen2")), "qwen2")
        self.assertEqual(gguf_vocabulary.kind_of(byte_level("llama-bpe")), "llama-bpe")
        self.assertEqual(gguf_vocabulary.kind_of(sentencepiece_tokenizer()), "llama")

    def test_others_are_not_written(self):
        lower = byte_level("qwen2")
        lower.backend_tokenizer.normalizer = normalizers.Lowercase()
        self.assertIsNone(gguf_vocabulary.kind_of(lower))
        # Pairs of one entry that stand apart: no score of the entry says that.
        self.assertIsNone(gguf_vocabulary.kind_of(sentencepiece_tokenizer(lambda merges: merges[::2] + merges[1::2])))
        self.assertIsNone(gguf_vocabulary.kind_of(sentencepiece_tokenizer(lambda merges: merges[:-1])))


if __name__ == "__main__":
    unittest.main()
