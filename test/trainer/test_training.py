# Whole trainings in this process, seconds each: the seed repeats them, an interrupted one goes on to the same weights, and
# what does not belong together is refused. Run by test/trainer/python.test.ts.
import hashlib
import json
import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from pretext_trainer import learn, stop, train
from pretext_trainer.channel import Channel
from pretext_trainer.failure import Failure

WORDS = "parser image mail sound network kernel editor library window script module archive server client".split()

STAGE = {
    "long": "cut",
    "validationShare": 0.1,
    "epochs": 3,
    "patience": 2,
    "learningRate": 3e-3,
    "schedule": "constant",
    "warmupSteps": 0,
    "weightDecay": 0.01,
    "clipNorm": 1,
    "batch": 8,
    "microBatch": 8,
}


def rows(path: Path, count: int, seed: int) -> str:
    random = np.random.default_rng(seed)
    texts = [f"The {' '.join(random.choice(WORDS, 8))}." for _ in range(count)]
    path.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts), "utf-8")
    return str(path)


class TrainingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="training-"))
        cls.public = rows(cls.folder / "public.jsonl", 90, 1)
        cls.corpus = rows(cls.folder / "corpus.jsonl", 60, 2)
        cls.first = cls.train("first")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    @classmethod
    def job(cls, name: str, **change) -> dict:
        scratch = {
            "from": "scratch",
            "layers": 2,
            "width": 32,
            "heads": 2,
            "feedForward": 64,
            "vocabulary": 400,
            "vocabularyTexts": cls.public,
            "tokenizer": None,
        }
        stages = [
            {**STAGE, "texts": cls.public, "name": "public pre-training", "epochs": 2},
            {**STAGE, "texts": cls.corpus, "name": "training"},
        ]
        job = {
            "kind": "train",
            "out": str(cls.folder / name),
            "resume": False,
            "seed": 1,
            "sequenceTokens": 32,
            "model": scratch,
            "lora": None,
            "stages": stages,
            "gguf": True,
            "device": "cpu",
            "processes": 1,
            "threads": 1,
            "precision": "fp32",
            "checkpointSteps": None,
            "checkpointSeconds": 60.0,
        }
        return {**job, **change}

    @classmethod
    def train(cls, name: str, **change) -> dict:
        cls.events = []
        return train.run(cls.job(name, **change), Channel(lambda line: cls.events.append(json.loads(line))))

    def weights(self, name: str) -> str:
        return hashlib.sha256((self.folder / name / "model" / "model.safetensors").read_bytes()).hexdigest()

    def from_first(self) -> dict:
        return {"from": "folder", "model": str(self.folder / "first" / "model"), "revision": None}

    def only_corpus(self, **change) -> list[dict]:
        return [{**STAGE, "texts": self.corpus, "name": "training", **change}]

    def refused(self, name: str, **change) -> Failure:
        with self.assertRaises(Failure) as raised:
            self.train(name, **change)
        return raised.exception

    def interrupt(self, name: str, stage: int, step: int) -> None:
        """Ends a training as Ctrl-C does, in the middle of an epoch."""
        original = learn.Learner._due
        learners = []

        def due(learner):
            learners.append(learner)
            if learner.index == stage and learner.stage.step == step - 1:
                stop._Wanted.stop = True
            return original(learner)

        learn.Learner._due = due
        try:
            failure = self.refused(name)
            self.assertEqual(failure.code, "interrupted")
            self.assertIn("--resume", failure.hint)
        finally:
            learn.Learner._due = original
            stop._Wanted.stop = False
        self.assertTrue(learners)

    def test_the_seed_repeats_it_and_another_differs(self):
        self.train("again")
        self.assertEqual(self.weights("again"), self.weights("first"))
        self.train("other", seed=2)
        self.assertNotEqual(self.weights("other"), self.weights("first"))

    def test_micro_batches_change_nothing_but_the_last_bits(self):
        stages = [{**s, "microBatch": 3} for s in self.job("x")["stages"]]
        again = self.train("micro", stages=stages)
        for a, b in zip(again["stages"], self.first["stages"], strict=True):
            self.assertAlmostEqual(a["validationLoss"], b["validationLoss"], places=3)

    def test_the_best_epoch_is_the_one_that_is_kept(self):
        # A rate that is far too large: later epochs are worse, and it stops before all of them are done.
        result = self.train("worse", model=self.from_first(), stages=self.only_corpus(learningRate=0.3, epochs=9))
        stage = result["stages"][0]
        losses = [h["validationLoss"] for h in stage["history"]]
        self.assertEqual(stage["validationLoss"], min(losses))
        self.assertTrue(stage["stoppedEarly"])
        self.assertLess(stage["epochs"], 9)
        self.assertEqual(stage["epochs"], stage["bestEpoch"] + 2)
        # The model on the disk is that epoch's: measured again from there, it has that loss.
        again = self.train(
            "measured",
            model={"from": "folder", "model": str(self.folder / "worse" / "model"), "revision": None},
            stages=self.only_corpus(maxSteps=1),
        )
        self.assertAlmostEqual(again["stages"][0]["validationBefore"], min(losses), places=4)

    def test_without_held_out_texts_the_last_epoch_is_kept(self):
        result = self.train("all", model=self.from_first(), stages=self.only_corpus(validationShare=0, epochs=1))
        stage = result["stages"][0]
        self.assertEqual((stage["heldOut"], stage["validationLoss"], stage["bestEpoch"]), (0, None, None))

    def test_interrupted_in_either_stage_it_goes_on_to_the_same_weights(self):
        for stage, step in ((0, 4), (1, 9)):
            name = f"interrupted-{stage}"
            self.interrupt(name, stage, step)
            result = self.train(name, resume=True)
            notes = [e["message"] for e in self.events if e["event"] == "note"]
            what = ("public pre-training", "training")[stage]
            self.assertTrue(any(n.startswith(f"resumed {what} at step {step} of ") for n in notes), notes)
            for a, b in zip(result["stages"], self.first["stages"], strict=True):
                self.assertEqual([h["epoch"] for h in a["history"]], [h["epoch"] for h in b["history"]])
                for x, y in zip(a["history"], b["history"], strict=True):
                    self.assertAlmostEqual(x["trainLoss"], y["trainLoss"], places=4)
                    self.assertAlmostEqual(x["validationLoss"], y["validationLoss"], places=4)
            self.assertEqual(self.weights(name), self.weights("first"))

    def test_process_time_is_counted_over_both_sides_of_a_stop(self):
        for stage in self.first["stages"]:
            self.assertGreater(stage["cpuSeconds"], 0)
            self.assertLess(stage["cpuSeconds"], 60)
        self.interrupt("timed", 1, 9)
        newest = sorted((self.folder / "timed" / "checkpoints").glob("step-*"))[-1] / "state.json"
        state = json.loads(newest.read_text("utf-8"))
        self.assertGreater(state["stage"]["cpu"], 0)
        # As if what came before the stop had been long.
        state["stage"]["cpu"] = 1000.0
        newest.write_text(json.dumps(state), "utf-8")
        before, after = self.train("timed", resume=True)["stages"]
        self.assertEqual(before["cpuSeconds"], state["done"][0]["cpuSeconds"])
        self.assertGreater(after["cpuSeconds"], 1000)
        self.assertLess(after["cpuSeconds"], 1060)

    def test_between_the_stages_the_kept_model_is_where_the_next_begins(self):
        self.interrupt("between", 1, 2)
        # Without the last checkpoint, the one that was written between the stages is left.
        newest = sorted((self.folder / "between" / "checkpoints").glob("step-*"))[-1]
        shutil.rmtree(newest)
        self.train("between", resume=True)
        self.assertEqual(self.weights("between"), self.weights("first"))

    def test_a_finished_training_answers_again_without_working(self):
        again = self.train("first", resume=True)
        self.assertEqual(again, self.first)
        self.assertEqual([e["event"] for e in self.events], ["started"])

    def test_other_settings_or_texts_are_refused_by_name(self):
        self.interrupt("changed", 0, 4)
        stages = self.job("x")["stages"]
        failure = self.refused("changed", resume=True, stages=[stages[0], {**stages[1], "learningRate": 1.0}])
        self.assertEqual(failure.code, "config")
        self.assertTrue(failure.message.endswith("belongs to a training with other settings (different: stages[1].learningRate)"))
        other = rows(self.folder / "other.jsonl", 60, 3)
        failure = self.refused("changed", resume=True, stages=[stages[0], {**stages[1], "texts": other}])
        self.assertTrue(failure.message.endswith("(different: the texts of stages[1])"), failure.message)
        failure = self.refused("changed", resume=True, model={**self.job("x")["model"], "layers": 3})
        self.assertTrue(failure.message.endswith("(different: model.layers)"), failure.message)

    def test_a_loss_that_is_no_number_is_told(self):
        failure = self.refused("nan", stages=[{**s, "learningRate": 1e30} for s in self.job("x")["stages"]])
        self.assertEqual(failure.code, "config")
        self.assertRegex(failure.message, r"the loss is no longer a number \(step \d+ of public pre-training\)")
        self.assertIn("1e+30", failure.hint)

    def test_from_a_folder_and_from_its_gguf_it_begins_at_the_same_loss(self):
        stages = self.only_corpus(epochs=1)
        folder = self.train("from-folder", model=self.from_first(), stages=stages)
        self.assertFalse(folder["dequantised"])
        path = str(self.folder / "first" / "model.gguf")
        gguf = self.train("from-gguf", model={"from": "gguf", "model": path, "revision": None}, stages=stages)
        self.assertTrue(gguf["dequantised"])
        self.assertAlmostEqual(folder["stages"][0]["validationBefore"], gguf["stages"][0]["validationBefore"], places=2)
        self.assertLess(folder["stages"][0]["validationBefore"], self.first["stages"][0]["validationBefore"])

    def test_lora_adapts_all_projections_and_is_merged(self):
        lora = {"rank": 4, "alpha": 8, "dropout": 0.1, "quantise": "none"}
        result = self.train("lora", model=self.from_first(), stages=self.only_corpus(), lora=lora)
        config = json.loads((self.folder / "lora" / "adapter" / "adapter_config.json").read_text())
        self.assertEqual((config["r"], config["lora_alpha"]), (4, 8))
        self.assertEqual(
            sorted({name.rsplit(".", 1)[-1] for name in config["target_modules"]}),
            ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"],
        )
        # Rank 4 on seven projections of two layers: 4 x (in + out) each.
        self.assertEqual(result["trainedParameters"], 2 * (4 * 4 * (32 + 32) + 3 * 4 * (32 + 64)))
        before = load_file(self.folder / "first" / "model" / "model.safetensors")
        after = load_file(self.folder / "lora" / "model" / "model.safetensors")
        self.assertEqual(before.keys(), after.keys())
        changed = sorted(n for n in before if not bool((before[n] == after[n]).all()))
        self.assertEqual(len(changed), 14)
        self.assertTrue((self.folder / "lora" / "model.gguf").exists())
        stage = result["stages"][0]
        self.assertLess(stage["validationLoss"], stage["validationBefore"])

    def test_qlora_learns_as_lora_does_over_the_weights_that_four_bits_leave(self):
        scratch = {**self.job("wide")["model"], "width": 64, "feedForward": 128}
        self.train("wide", model=scratch, stages=self.only_corpus(epochs=1))
        start = lambda name: {"from": "folder", "model": str(self.folder / name / "model"), "revision": None}  # noqa: E731
        tune = lambda name, model, quantise: self.train(  # noqa: E731
            name,
            model=start(model),
            stages=self.only_corpus(),
            lora={"rank": 4, "alpha": 8, "dropout": 0, "quantise": quantise},
        )
        result = tune("qlora", "wide", "nf4")
        # The same weights, rounded by bitsandbytes' functions alone.
        rounded = AutoModelForCausalLM.from_pretrained(self.folder / "wide" / "model")
        for name, module in rounded.named_modules():
            if "proj" in name:
                four, state = quantize_4bit(module.weight.data, quant_type="nf4", compress_statistics=True)
                module.weight.data = dequantize_4bit(four, state)
        shutil.copytree(self.folder / "wide" / "model", self.folder / "rounded" / "model")
        rounded.save_pretrained(self.folder / "rounded" / "model")
        golden = tune("lora-over-rounded", "rounded", "none")
        whole = tune("lora-over-whole", "wide", "none")
        losses = lambda r: [h[kind] for h in r["stages"][0]["history"] for kind in ("trainLoss", "validationLoss")]  # noqa: E731
        difference = lambda other: max(abs(a - b) for a, b in zip(losses(result), losses(other), strict=True))  # noqa: E731
        self.assertLess(difference(golden), 1e-4)
        self.assertGreater(difference(whole), 2e-4)
        self.assertLess(result["stages"][0]["validationLoss"], result["stages"][0]["validationBefore"])
        # The adapter is merged into the weights as they were before they were rounded.
        before = load_file(self.folder / "wide" / "model" / "model.safetensors")
        after = load_file(self.folder / "qlora" / "model" / "model.safetensors")
        adapter = load_file(self.folder / "qlora" / "adapter" / "adapter_model.safetensors")
        for name in (n for n in before if "proj" in n):
            a, b = (adapter[f"base_model.model.{name.removesuffix('.weight')}.lora_{half}.weight"] for half in "AB")
            torch.testing.assert_close(after[name], before[name] + 2 * (b @ a), atol=1e-6, rtol=1e-6)
        self.assertTrue((self.folder / "qlora" / "model.gguf").exists())

    def test_qlora_says_what_is_missing(self):
        lora = {"rank": 4, "alpha": 8, "dropout": 0, "quantise": "nf4"}
        with mock.patch.dict(sys.modules, {"bitsandbytes": None}):
            failure = self.refused("no-qlora", model=self.from_first(), stages=self.only_corpus(), lora=lora)
        self.assertEqual(failure.code, "dependency")
        self.assertEqual(failure.message, "QLoRA (--quantise nf4) needs the Python package bitsandbytes, which is not installed")

    def test_sequences_longer_than_the_model_are_refused(self):
        failure = self.refused("long", model=self.from_first(), stages=self.only_corpus(), sequenceTokens=4096)
        self.assertRegex(failure.message, r"^expected sequences of at most 512 tokens for .*, got 4096$")


if __name__ == "__main__":
    unittest.main()
