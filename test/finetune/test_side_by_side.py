# Clients side by side end where they end one after the other, whatever each of them has: no text, one, or many of many lengths.
# Run by federated.test.ts.
import json
import shutil
import unittest
import warnings
from pathlib import Path
from unittest import mock

warnings.filterwarnings("ignore")

from federated_workspace import WORDS, Workspace, rounds_of, run, weights

import numpy as np
import torch

from pretext_trainer.federated import averaging, side_by_side
from pretext_trainer.federated.side_by_side import SideBySide, width_on

# A text of one sign is one token: nothing to learn from.
TEXTS = [0, 1, 3, 9, 1, 2, 0, 5, 3, 7]
NONE = {"clip": {"kind": "none"}, "noiseMultiplier": 0}
CLIP = {"clip": {"kind": "fixed", "bound": 0.3}, "noiseMultiplier": 0.5}


def write_clients(path: Path) -> str:
    random = np.random.default_rng(4)
    texts = [[" ".join(random.choice(WORDS, random.integers(2, 12))) for _ in range(n)] for n in TEXTS]
    rows = [{"client": f"c{c}", "text": text} for c, own in enumerate(texts) for text in own or ["x"]]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    return str(path)


class SideBySideTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.workspace = Workspace()
        cls.workspace.clients = write_clients(cls.workspace.folder / "unequal.jsonl")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.workspace.folder, ignore_errors=True)

    def done(self, width: int, timed: int = 1, **change):
        rounds = rounds_of(self.workspace.federated("out", **{"rounds": 2, **change}))
        rounds.notes = []
        rounds.beside = SideBySide(rounds.model, width, rounds.notes.append)
        with mock.patch.object(averaging, "TIMED", timed):
            run(rounds)
        return rounds

    def test_they_end_at_the_same_weights(self):
        for name, change in {
            "all": NONE,
            "one pass": {**NONE, "client": {"batch": None}},
            "passes": {**NONE, "client": {"epochs": 3, "batch": 4}},
            "steps": {**NONE, "client": {"steps": 2, "batch": 3}},
            "clipped steps": {**NONE, "client": {"gradientNorm": 0.5, "epochs": 2}},
            "poisson": {**CLIP, "sampling": "poisson", "cohort": 6},
            "fixed": {**CLIP, "sampling": "fixed", "cohort": 7},
            "trees": {**CLIP, "sampling": "cycle", "cohort": 5, "noise": "tree", "rounds": 4},
            "adapters": {**NONE, "lora": {"rank": 2, "alpha": 8}},
        }.items():
            with self.subTest(name):
                one, many = self.done(1, **change), self.done(4, **change)
                start = weights(rounds_of(self.workspace.federated("start", **change)).model)
                apart = float((weights(many.model) - weights(one.model)).norm())
                self.assertLess(apart / float(weights(one.model).norm()), 1e-5)
                self.assertLess(apart / float((weights(one.model) - start).norm()), 1e-4)
                self.assertEqual(many.notes, [])
                # What was counted is what was done, either way.
                for what in ("steps", "flops", "up", "down", "participations"):
                    self.assertEqual(getattr(many.meter.spent, what), getattr(one.meter.spent, what), what)
                # A client of each process was timed.
                self.assertEqual(many.meter.spent.timed, 1)
                self.assertGreater(one.meter.spent.timed, 2)
                told = many.result(Path(many.job["out"]) / "model")["measures"]
                self.assertEqual((told["clientsSideBySide"], told["clientsTimed"]), (4, 1))

    def test_bound_and_noise_are_read_back_as_ever(self):
        change = {**CLIP, "sampling": "poisson", "cohort": 6, "rounds": 3}
        one, many = self.done(1, **change), self.done(4, **change)
        self.assertEqual(many.watch.mechanisms(), one.watch.mechanisms())
        for a, b in zip(many.watch.releases, one.watch.releases):
            self.assertAlmostEqual(a["measured"], b["measured"], places=6)

    def test_it_notices_what_fills_up(self):
        honest = side_by_side.stacked

        def counted(batches):
            ids, labels = honest(batches)
            return ids, labels.clamp(min=0)

        one = self.done(1, **NONE)
        with mock.patch.object(side_by_side, "stacked", counted):
            many = self.done(4, **NONE)
        self.assertGreater(float((weights(many.model) - weights(one.model)).norm() / weights(one.model).norm()), 1e-3)

    def test_a_client_is_timed_alone_and_stands_for_the_others(self):
        rounds = self.done(4, timed=3, **NONE)
        spent = rounds.meter.spent
        self.assertEqual(spent.timed, 3)
        per_step = sorted(cpu for cpu, _ in rounds.meter._per_step)
        self.assertTrue(per_step[0] * spent.steps * 0.9 < spent.client_cpu < per_step[2] * spent.steps * 1.1)
        self.assertGreater(spent.server_cpu, 0)

    def test_less_are_tried_where_memory_ends(self):
        honest, tried = SideBySide._train, []

        def full(self, batches, params):
            tried.append(len(batches))
            if len(batches) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return honest(self, batches, params)

        one = self.done(1, **NONE)
        with mock.patch.object(SideBySide, "_train", full):
            many = self.done(8, **NONE)
        torch.testing.assert_close(weights(many.model), weights(one.model), rtol=1e-4, atol=1e-6)
        self.assertEqual((tried[:3], many.beside.width), ([8, 4, 2], 2))
        self.assertEqual(many.notes[0], "memory ran out with 8 clients side by side: going on with 4")
        self.assertEqual(many.meter.spent.steps, one.meter.spent.steps)

    def test_dropout_has_each_client_s_own_seed_one_after_the_other(self):
        def dropping(width: int):
            rounds = rounds_of(self.workspace.federated("out", **NONE, rounds=2))
            rounds.beside = SideBySide(rounds.model, width, lambda note: notes.append(note))
            for layer in rounds.model.network.model.layers:
                layer.self_attn.attention_dropout = 0.3
            run(rounds)
            return rounds

        notes: list[str] = []
        one, many = dropping(1), dropping(4)
        self.assertTrue(torch.equal(weights(one.model), weights(many.model)))
        self.assertEqual((many.beside.width, len(notes)), (1, 1))
        self.assertRegex(notes[0], "clients train one after the other, because this model cannot side by side: .*random")

    def test_how_many(self):
        gpu = torch.device("cuda")
        self.assertEqual(width_on(torch.device("cpu"), 14_000_000), 1)
        self.assertEqual([width_on(gpu, n) for n in (1_000, 14_000_000, 135_000_000, 2_000_000_000)], [256, 32, 3, 1])


if __name__ == "__main__":
    unittest.main()
