# ScaleOT's promises: harmonizers, masks, the search, ranks, emulators and plug-back, and whole runs of a tiny model. Run by
# scaleot.test.ts, which hands over a job with the schema's defaults.
import copy
import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pretext_trainer import stop
from pretext_trainer.channel import Channel
from pretext_trainer.dr_encoder.clients import Client, Plan, cohort
from pretext_trainer.dr_encoder.kept import Kept
from pretext_trainer.dr_encoder.meters import Meters
from pretext_trainer.failure import Failure
from pretext_trainer.scaleot import job as scaleot
from pretext_trainer.scaleot.emulator import adapter_places, build, dropped_places, layers_of, plug_back, replaced_places
from pretext_trainer.scaleot.harmonizer import Harmonizer
from pretext_trainer.scaleot.masks import groups_of, sample, scored
from pretext_trainer.scaleot.rank import compress, kept_rank, truncated
from pretext_trainer.scaleot.search import Mixture, Search, run_search
from pretext_trainer.scaleot.tune import Tuner, Tuning, update
from speaking_llama import rows, tiny

torch.set_num_threads(1)
SEARCH = {"batch": 8, "learningRate": 1e-3, "candidates": 3, "group": 4, "width": 8, "checkpointSteps": 40, "reward": "standardised"}


def llama(layers: int = 8, hidden: int = 32, vocabulary: int = 64, seed: int = 1) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        initializer_range=0.1,
    )
    return LlamaForCausalLM(config).eval()


def logits(model: torch.nn.Module, seed: int = 1) -> torch.Tensor:
    ids = torch.randint(0, 64, (3, 12), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return model(input_ids=ids, use_cache=False).logits


class HarmonizerTest(unittest.TestCase):
    def test_a_fresh_one_is_the_identity_of_the_same_shape_and_type(self):
        for dtype in (torch.float32, torch.bfloat16):
            x = torch.randn(2, 5, 32).to(dtype)
            h = Harmonizer(32, 8).to(dtype)
            y = h(x, attention_mask=None, position_embeddings=(x, x), use_cache=False)
            self.assertTrue(torch.equal(x, y))
            self.assertEqual((y.shape, y.dtype), (x.shape, x.dtype))

    def test_exactly_one_matrix_begins_at_zero_so_that_both_learn(self):
        def moved(h: Harmonizer) -> tuple[float, float]:
            optimiser = torch.optim.AdamW(h.parameters(), lr=1e-2, weight_decay=0)
            generator = torch.Generator().manual_seed(1)
            for _ in range(30):
                x = torch.randn(4, 6, 16, generator=generator)
                ((h(x) - x - torch.relu(x)) ** 2).mean().backward()
                optimiser.step()
                optimiser.zero_grad()
            return tuple(float(w.weight.detach().abs().max()) for w in (h.stretch, h.squeeze))

        torch.manual_seed(1)
        h = Harmonizer(16, 8)
        self.assertEqual((bool(h.stretch.weight.any()), bool(h.squeeze.weight.any())), (False, True))
        self.assertGreater(min(moved(h)), 0.01)
        dead = Harmonizer(16, 8)
        torch.nn.init.zeros_(dead.squeeze.weight)
        torch.nn.init.zeros_(dead.squeeze.bias)
        self.assertEqual(moved(dead), (0.0, 0.0))

    def test_smollm2s_is_2_percent_of_a_layer(self):
        size = sum(p.numel() for p in Harmonizer(576, 64).parameters())
        self.assertEqual(size, 74_368)
        self.assertAlmostEqual(size / 3_540_096, 0.021, places=3)

    def test_lora_on_feed_forward_names_does_not_reach_it(self):
        from peft import LoraConfig, get_peft_model

        model = llama(4)
        layers_of(model)[1] = Harmonizer(32, 8)
        wrapped = get_peft_model(model, LoraConfig(r=2, target_modules=["up_proj", "down_proj"]))
        named = [n for n, p in wrapped.named_parameters() if p.requires_grad]
        self.assertTrue(named and not any(".layers.1." in n for n in named))


class MaskTest(unittest.TestCase):
    def test_two_of_four_stay(self):
        generator = torch.Generator().manual_seed(1)
        for _ in range(200):
            kept = sample(torch.randn(12, dtype=torch.float64), 4, generator)
            self.assertEqual(kept.view(3, 4).sum(1).tolist(), [2, 2, 2])
        # The trap: the lower median, so that "at least the median" is three.
        four = torch.tensor([0.1, 0.2, 0.3, 0.4])
        self.assertEqual(int((four >= four.median()).sum()), 3)
        self.assertEqual(int((four > four.median()).sum()), 2)

    def test_every_layer_is_in_one_group_of_two_or_more(self):
        self.assertEqual([len(g) for g in groups_of(30, 4)], [4] * 7 + [2])
        self.assertEqual([len(g) for g in groups_of(9, 4)], [4, 5])
        for layers in range(2, 40):
            groups = groups_of(layers, 4)
            self.assertEqual([i for g in groups for i in g], list(range(layers)))
            self.assertGreaterEqual(min(map(len, groups)), 2)

    def test_higher_scores_stay_more_often(self):
        generator = torch.Generator().manual_seed(1)
        scores = torch.tensor([3.0, -3.0, -3.0, -3.0], dtype=torch.float64)
        share = torch.stack([sample(scores, 4, generator) for _ in range(500)]).double().mean(0)
        self.assertGreater(float(share[0]), 0.9)
        self.assertEqual(round(float(share.sum()), 6), 2.0)

    def test_raw_rewards_at_a_loss_of_3_hardly_move_a_score(self):
        scores = torch.zeros(4, dtype=torch.float64)
        masks = [torch.tensor([True, True, False, False]), torch.tensor([False, False, True, True])]
        raw = scored(scores, masks, [2.9, 3.1], 0.1, "raw")
        self.assertLess(float(raw.abs().max()), 2e-4)
        better = scored(scores, masks, [2.9, 3.1], 1, "standardised")
        self.assertEqual([round(float(s), 6) for s in better], [0.25, 0.25, -0.25, -0.25])


class SearchTest(unittest.TestCase):
    def toy(self, steps: int, folder: Path, resume: bool = False, stop_at: int | None = None, **plan) -> Search:
        # 8 layers of which 4 do nothing; texts are what the whole model would say.
        model = llama(8)
        for place in (1, 2, 5, 6):
            layer = layers_of(model)[place]
            torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
            torch.nn.init.zeros_(layer.mlp.down_proj.weight)
        generator = torch.Generator().manual_seed(2)
        ids = torch.randint(0, 64, (60, 1), generator=generator)
        with torch.no_grad():
            for _ in range(11):
                told = torch.softmax(2 * model(input_ids=ids, use_cache=False).logits[:, -1], -1)
                ids = torch.cat([ids, torch.multinomial(told, 1, generator=generator)], 1)
        torch.manual_seed(3)
        search = Search(Mixture(model, 8, torch.device("cpu")), {**SEARCH, "steps": steps, "scoreRate": 1, **plan}, 1)
        kept = Kept(folder, {"out": "", "resume": resume})
        run_search(search, [row.numpy() for row in ids], kept, lambda: search.done == stop_at, lambda *_: None)
        return search

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="scaleot-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def test_live_layers_are_told_from_dead_ones(self):
        scores = self.toy(300, self.folder).scores.tolist()
        live, dead = [scores[i] for i in (0, 3, 4, 7)], [scores[i] for i in (1, 2, 5, 6)]
        self.assertEqual(sum(a > b for a in live for b in dead) / 16, 1.0, scores)

    def test_a_stopped_search_goes_on_to_the_same_numbers(self):
        whole = self.toy(60, self.folder / "whole")
        self.toy(60, self.folder / "cut", stop_at=25)
        again = self.toy(60, self.folder / "cut", resume=True)
        self.assertEqual(again.done, 60)
        self.assertTrue(torch.equal(whole.scores, again.scores))
        for a, b in zip(whole.mixture.harmonizers.parameters(), again.mixture.harmonizers.parameters(), strict=True):
            self.assertTrue(torch.equal(a, b))

    def test_the_model_is_whole_again_afterwards(self):
        model = llama(8)
        before = logits(model)
        mixture = Mixture(model, 8, torch.device("cpu"))
        mixture.loss(torch.zeros(8, dtype=torch.bool), [torch.arange(6).numpy()])
        self.assertTrue(torch.equal(before, logits(model)))


class RankTest(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(1)

    def test_the_error_is_the_tail_of_the_spectrum(self):
        for rows_, columns, rank in ((48, 48, 19), (16, 48, 6), (48, 16, 1), (20, 20, 20)):
            w = torch.randn(rows_, columns)
            left, right = truncated(w, rank)
            tail = torch.linalg.svdvals(w.double())[rank:].square().sum()
            error = (w - left @ right).double().square().sum()
            self.assertAlmostEqual(float(error), float(tail), delta=1e-4 * float(w.square().sum()))
            self.assertEqual(int(torch.linalg.matrix_rank(left @ right)), rank)

    def test_the_energy_that_stays_of_independent_entries(self):
        spectrum = torch.linalg.svdvals(torch.randn(576, 576, generator=torch.Generator().manual_seed(1))).square()
        for keep, share in ((0.2, 0.535), (0.4, 0.813), (0.8, 0.993)):
            rank = kept_rank(576, 576, 1 - keep)
            self.assertAlmostEqual(float(spectrum[:rank].sum() / spectrum.sum()), share, delta=0.004)

    def test_beta_is_what_goes(self):
        self.assertEqual([kept_rank(576, 576, b) for b in (0, 0.4, 0.6, 0.8)], [576, 346, 230, 115])
        self.assertEqual([kept_rank(192, 576, b) for b in (0, 0.4, 0.6, 0.8)], [192, 115, 77, 38])

    def test_attention_alone_is_compressed_and_computes_the_same_either_way(self):
        for beta in (0.2, 0.8):
            model = llama(2)
            layer = layers_of(model)[0]
            before = {n: p.clone() for n, p in layer.named_parameters()}
            compress(layer, beta)
            for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
                module = getattr(layer.self_attn, name)
                weight = before[f"self_attn.{name}.weight"]
                rank = kept_rank(*weight.shape, beta)
                left, right = truncated(weight, rank)
                x = torch.randn(3, weight.shape[1])
                self.assertTrue(torch.allclose(module(x), x @ (left @ right).T, atol=1e-4))
                size = sum(p.numel() for p in module.parameters())
                self.assertEqual(size, min(weight.numel(), rank * sum(weight.shape)))
            for name, weight in before.items():
                if name.startswith("mlp"):
                    self.assertTrue(torch.equal(weight, dict(layer.named_parameters())[name]))


class EmulatorTest(unittest.TestCase):
    def setUp(self):
        self.full = llama(8)
        self.harmonizers = torch.nn.ModuleList(Harmonizer(32, 8) for _ in range(8))
        self.scores = torch.arange(8, dtype=torch.float64)

    def build(self, alpha: float, beta: float, method: str = "replace", adapters=(0, 1, 6, 7)):
        return build(self.full, self.harmonizers, self.scores, adapters, method=method, alpha=alpha, beta=beta)

    def test_with_nothing_replaced_it_is_the_model(self):
        self.assertLessEqual(float((logits(self.build(0, 0).model) - logits(self.full)).abs().max()), 1e-5)

    def test_untuned_adapters_plug_back_to_the_same_bits_and_tuned_ones_change_themselves_alone(self):
        for method in ("replace", "drop"):
            emulator = self.build(0.5, 0.6, method)
            self.assertEqual(emulator.ranks, (6, 13))
            plugged = plug_back(self.full, emulator).state_dict()
            for name, weight in self.full.state_dict().items():
                self.assertTrue(torch.equal(weight, plugged[name]), name)
            trained = [p for p in emulator.model.parameters() if p.requires_grad]
            with torch.no_grad():
                for p in trained:
                    p.add_(0.01)
            changed = {n for n, w in plug_back(self.full, emulator).state_dict().items() if not torch.equal(w, self.full.state_dict()[n])}
            self.assertEqual({int(n.split(".")[2]) for n in changed}, {0, 1, 6, 7})
            self.assertTrue(all(".layers." in n for n in changed))
            # The owner's model was not touched.
            self.assertTrue(torch.equal(logits(self.full), logits(llama(8))))

    def test_the_least_important_layers_go_and_adapters_stay(self):
        self.assertEqual(replaced_places(self.scores, (0, 1, 6, 7), 0.5), (2, 3))
        self.assertEqual(replaced_places(-self.scores, (0, 1, 6, 7), 0.5), (4, 5))
        emulator = self.build(0.5, 0)
        self.assertEqual([isinstance(m, Harmonizer) for m in layers_of(emulator.model)], [i in (2, 3) for i in range(8)])

    def test_smollm2s_sizes(self):
        ends = adapter_places(30, 4, "ends", torch.zeros(30))
        self.assertEqual(ends, (0, 1, 28, 29))
        self.assertEqual([len(replaced_places(torch.zeros(30), ends, a)) for a in (0, 0.25, 0.5, 0.75)], [0, 6, 13, 19])
        self.assertEqual(134_515_008 - 13 * (3_540_096 - 74_368), 89_460_544)
        config = LlamaConfig(
            vocab_size=49152,
            hidden_size=576,
            intermediate_size=1536,
            num_hidden_layers=30,
            num_attention_heads=9,
            num_key_value_heads=3,
            tie_word_embeddings=True,
        )
        with torch.device("meta"):
            full = LlamaForCausalLM(config)
            harmonizers = torch.nn.ModuleList(Harmonizer(576, 64) for _ in range(30))
        emulator = build(full, harmonizers, torch.zeros(30), ends, method="replace", alpha=0.5, beta=0)
        self.assertEqual(sum(p.numel() for p in full.parameters()), 134_515_008)
        self.assertEqual(sum(p.numel() for p in emulator.model.parameters()), 89_460_544)

    def test_uniform_drop_keeps_both_ends_of_the_middle_and_as_many_as_replacement_does(self):
        ends = adapter_places(30, 4, "ends", torch.zeros(30))
        for alpha in (0.25, 0.5, 0.75):
            dropped = dropped_places(30, ends, alpha)
            self.assertEqual(len(dropped), len(replaced_places(torch.zeros(30), ends, alpha)))
            self.assertFalse({2, 27} & set(dropped))
        # 20 middle layers, 8 kept: offsite tuning's own example.
        self.assertEqual(len(set(range(2, 22)) - set(dropped_places(24, adapter_places(24, 4, "ends", torch.zeros(24)), 0.6))), 8)

    def test_the_most_important_layers_can_be_the_adapters(self):
        self.assertEqual(adapter_places(8, 3, "importance", self.scores), (5, 6, 7))
        with self.assertRaises(Failure) as caught:
            adapter_places(4, 4, "ends", torch.zeros(4))
        self.assertEqual(caught.exception.message, "expected fewer adapter layers than the model's 4, got 4")


class TuningTest(unittest.TestCase):
    BOUND = 0.01

    def tuner(self, **change) -> Tuner:
        model = llama(2)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(".layers.0." in name)
        texts = np.random.default_rng(1)
        clients = [Client(f"c{i}", [texts.integers(1, 64, 9) for _ in range(1 + i)]) for i in range(6)]
        asked = {
            "plan": Plan(1, 4, 1e-2, 1.0),
            "owners": "each",
            "rounds": 1,
            "sampling": "poisson",
            "rate": 0.5,
            "server_rate": 1.0,
            "noise_multiplier": 0.0,
            "clip": self.BOUND,
            "seed": 4,
            "device": torch.device("cpu"),
        }
        return Tuner(model, clients, [], Tuning(**{**asked, **change}), 9, Meters())

    def moved(self, tuner: Tuner) -> torch.Tensor:
        before = tuner.state.clone()
        tuner.round()
        return tuner.state - before

    def test_a_round_is_the_sum_of_bounded_changes_over_the_expected_number(self):
        tuner, same = self.tuner(), self.tuner()
        chosen = cohort("poisson", 6, 0.5, 4, 0)
        self.assertNotIn(len(chosen), (0, 3))
        total = torch.zeros_like(same.state)
        for place in chosen:
            _, change = update(same.model, same.clients[place], same.tuning, same.state, [4, 33, 0, place])
            self.assertGreater(float(change.norm()), 2 * self.BOUND)
            total += change * (self.BOUND / float(change.norm()))
        self.assertTrue(torch.allclose(self.moved(tuner), total / 3, rtol=1e-3, atol=1e-7))
        self.assertEqual(tuner.drawn, [len(chosen)])

    def test_the_noise_is_on_the_sum(self):
        for sampling, expected in (("all", 6), ("poisson", 3)):
            tuner = self.tuner(sampling=sampling, noise_multiplier=100.0)
            total = self.moved(tuner) * expected
            self.assertAlmostEqual(float(total.std()) / (100 * self.BOUND), 1, delta=6 / (2 * total.numel()) ** 0.5)
            entry = tuner.mechanism()
            self.assertEqual((entry["sigma"], entry["clip"], entry["cohort"]), (100 * self.BOUND, self.BOUND, expected))

    def test_a_client_with_nothing_to_predict_counts_and_changes_nothing(self):
        tuner = self.tuner(sampling="all", clip="none")
        whole = self.moved(tuner)
        more = self.tuner(sampling="all", clip="none")
        more.clients.append(Client("empty", []))
        more.taken.append(0)
        self.assertTrue(torch.allclose(self.moved(more) * 7, whole * 6, rtol=1e-3, atol=1e-6))

    def test_an_empty_cohort_is_noised_too(self):
        tuner = self.tuner(rate=1e-9, noise_multiplier=1.0)
        self.assertGreater(float(self.moved(tuner).norm()), 0)
        self.assertEqual((tuner.drawn, tuner.mechanism()["releases"]), ([0], 1))


class RunTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="scaleot-"))
        f = cls.folder
        cls.base = json.loads(os.environ["PRETEXT_TEST_JOB"]) | {
            "clients": rows(f / "clients.jsonl", 10, 6, 1, 3, "c"),
            "validation": rows(f / "validation.jsonl", 5, 5, 2, 3, "v"),
            "publicTexts": rows(f / "public.jsonl", 40, 5, 3, 0, "p"),
            "start": tiny(f, layers=6, width=48, steps=150, rate=2e-3),
            "device": "cpu",
            "sequenceTokens": 32,
            "sampling": "all",
            "rate": 1,
            "rounds": 2,
            "emulators": [
                {"method": "replace", "alpha": 0.5, "beta": 0.6},
                {"method": "replace", "alpha": 0.5, "beta": 0},
                {"method": "drop", "alpha": 0.5, "beta": 0},
            ],
        }
        cls.base["adapters"]["layers"] = 2
        cls.base["search"] |= {"steps": 120, "batch": 8, "width": 16, "learningRate": 3e-3}
        cls.base["local"] |= {"learningRate": 1e-3, "epochs": 3}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def run_job(self, name: str, channel: Channel | None = None, **change) -> dict:
        job = {**copy.deepcopy(self.base), "out": str(self.folder / name), **change}
        return scaleot.run(job, channel or Channel(lambda _line: None))

    def test_the_table_of_offsite_tuning(self):
        result = self.run_job("one", owners="one")
        small, replaced, dropped = result["measures"]["emulators"]
        zero, full = result["measures"]["zeroShot"], result["measures"]["fullTuning"]
        for row in (small, replaced, dropped):
            self.assertLess(row["plugIn"], zero)
            self.assertGreaterEqual(row["plugIn"], full - 0.02)
            self.assertLess(row["parameters"], result["measures"]["fullParameters"])
        # Importance and harmonizers against uniform drop, at equal depth.
        self.assertLessEqual(replaced["emulator"] - dropped["emulator"], -0.1)
        self.assertLess(replaced["plugIn"], dropped["plugIn"])
        self.assertGreaterEqual(small["recovery"], 0.7)
        self.assertLess(small["parameters"], replaced["parameters"])
        self.assertLess(small["bytes"], replaced["bytes"])
        # One owner sends its adapters as they are: no bound, no noise, and so no epsilon.
        (entry,) = result["mechanisms"]
        self.assertEqual((entry["sigma"], entry["clip"], entry["releases"]), (0, None, 1))
        self.assertAlmostEqual(result["validation"]["loss"], small["plugIn"], places=6)
        meters = result["meters"]
        self.assertEqual((meters["rounds"], meters["participations"]), (1, 1))
        self.assertEqual(meters["bytesDownPerClientRound"], small["bytes"])
        self.assertGreater(meters["serverCpuSeconds"], 0)
        self.assertTrue((Path(result["model"]) / "config.json").is_file())

    def test_what_the_owner_makes_depends_on_no_clients_text(self):
        # Search, importance and the emulator as it is sent: from public texts alone.
        few = {"owners": "one", "fullTuning": False, "emulators": self.base["emulators"][:1], "rounds": 1}
        few["search"] = {**self.base["search"], "steps": 12}
        others = rows(self.folder / "others.jsonl", 7, 5, 11, 3, "o")
        made = [self.run_job(name, **few, **more) for name, more in (("these", {}), ("those", {"clients": others}))]
        told = [(r["measures"]["importance"], r["measures"]["emulators"][0]["emulator"]) for r in made]
        self.assertEqual(told[0], told[1])
        self.assertNotEqual(*(r["measures"]["emulators"][0]["emulatorTuned"] for r in made))

    def test_clients_that_are_learned_from_are_not_asked_for_the_figures(self):
        with self.assertRaises(Failure) as caught:
            self.run_job("shared", validation=self.base["clients"])
        self.assertIn("expected validation clients that no arm trains on, got 10", caught.exception.message)

    def test_every_client_an_owner_with_noise_on_the_sum_and_a_stop_in_between(self):
        change = {
            "owners": "each",
            "emulators": self.base["emulators"][:1],
            "fullTuning": False,
            "noiseMultiplier": 0.1,
            "sampling": "poisson",
            "rate": 0.5,
            "rounds": 3,
            "adapters": {**self.base["adapters"], "tune": "lora"},
            "search": {**self.base["search"], "steps": 10},
        }
        whole = self.run_job("whole", **change)
        (entry,) = whole["mechanisms"]
        self.assertAlmostEqual(entry["sigma"] / entry["clip"], 0.1, places=9)
        self.assertEqual((entry["releases"], entry["cohort"], entry["contributions"]), (3, 5, "signed"))
        self.assertEqual(sum(entry["drawn"]), whole["meters"]["participations"])

        class Stopping(Channel):
            def progress(self, stage, *rest, **more):
                stop._Wanted.stop = stage.startswith("tuning")

        try:
            with self.assertRaises(Failure) as caught:
                self.run_job("stopped", Stopping(lambda _line: None), **change)
            self.assertEqual(caught.exception.code, "interrupted")
        finally:
            stop._Wanted.stop = False
        again = self.run_job("stopped", resume=True, **change)
        a, b = (Path(r["model"]) / "model.safetensors" for r in (whole, again))
        self.assertEqual(a.read_bytes(), b.read_bytes())
        self.assertEqual(again["mechanisms"], whole["mechanisms"])

    def test_noise_without_a_sum_or_a_clip_is_refused(self):
        for change, words in (({"owners": "one"}, "one owner sends no sum"), ({"owners": "each", "clip": "none"}, "expected a clip")):
            with self.assertRaises(Failure) as caught:
                self.run_job("refused", noiseMultiplier=1.0, **change)
            self.assertIn(words, caught.exception.message)


if __name__ == "__main__":
    unittest.main()
