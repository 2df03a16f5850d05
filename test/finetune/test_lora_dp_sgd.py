# LoRA as DP-SGD: what its noise is, exactly; what it is not; and the private row against gradients taken one client at a time.
import unittest

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from tiny_llama import clients, llama

from pretext_trainer.failure import Failure
from pretext_trainer.fedlpp.clients import Client
from pretext_trainer.lora_dp_sgd import noise
from pretext_trainer.lora_dp_sgd.distinguish import auc_bound, blind_direction, distinguish, distinguish_noised
from pretext_trainer.lora_dp_sgd.job import _main_row, equal_loss, mechanisms
from pretext_trainer.lora_dp_sgd.membership import attack_row, auc, audit_counts, client_figures, scores_of
from pretext_trainer.lora_dp_sgd.row import RowTraining
from pretext_trainer.lora_dp_sgd.sketch import draw_a, projections

JOB = {"seed": 3, "sampling": "all", "microBatch": 6}


def row(method: str, rank: int = 4, rate: float = 0.1, optimiser: str = "sgd", model=None, group=None, **more) -> RowTraining:
    group = clients(6) if group is None else group
    settings = {"method": method, "rank": rank, "optimiser": optimiser, "learningRate": rate, **more}
    return RowTraining(llama() if model is None else model, group, len(group), settings, JOB)


def weights(model) -> dict[str, torch.Tensor]:
    return {n: m.weight.detach().clone() for n, m in projections(model).items()}


class Identities(unittest.TestCase):
    def test_one_step_is_the_sketched_gradient(self):
        full = row("full")
        gradients = full._sums(list(range(6)))
        run = row("lora", rank=4)
        a = {n: layer.down.weight.detach().clone() for n, layer in run.layers.items()}
        before = weights(llama())
        run.step()
        run.end()
        for name, after in weights(run.model).items():
            moved = after - before[name]
            expected = -0.1 * noise.sketched(gradients[f"{name}.weight"] / 6, a[name])
            # The weights themselves are rounded to 24 bits; the product B A is not.
            self.assertLess(float((moved - expected).norm() / expected.norm()), 1e-4)
        again = row("lora", rank=4)
        again.step()
        for name, layer in again.layers.items():
            product = layer.up.weight @ layer.down.weight
            expected = -0.1 * noise.sketched(gradients[f"{name}.weight"] / 6, a[name])
            self.assertLess(float((product - expected).norm() / expected.norm()), 1e-5)
            self.assertEqual(int(torch.linalg.matrix_rank(product.detach().double(), rtol=1e-5)), 4)

    def test_the_variance_of_the_noise(self):
        torch.manual_seed(0)
        g, rank, draws = torch.randn(3, 7), 5, 60_000
        random = np.random.default_rng(1)
        kinds = {
            3.0: random.standard_normal((draws, rank, 7)) / rank**0.5,
            1.8: random.uniform(-1, 1, (draws, rank, 7)) * (3 / rank) ** 0.5,
            1.0: random.choice([-1.0, 1.0], (draws, rank, 7)) / rank**0.5,
        }
        for kurtosis, many in kinds.items():
            a = torch.tensor(many, dtype=torch.float32)
            n = (g @ a.transpose(1, 2)) @ a - g
            expected = noise.noise_variance(g, rank, kurtosis)
            with self.subTest(kurtosis=kurtosis):
                self.assertLess(float(((n.var(dim=0) - expected) / expected).abs().max()), 0.03)
                self.assertLess(float((n.mean(dim=0) / (expected / draws).sqrt()).abs().max()), 5)
        a = torch.tensor(kinds[3.0], dtype=torch.float32)
        n = (g @ a.transpose(1, 2)) @ a - g
        together = (n[:, 0] * n[:, 1]).mean(dim=0)
        expected = (g[0] @ g[1] + g[0] * g[1]) / rank
        scale = (n[:, 0].var(dim=0) * n[:, 1].var(dim=0)).sqrt()
        self.assertLess(float(((together - expected) / scale).abs().max()), 0.03)

    def test_what_our_own_draws_are(self):
        rank, width = 8, 576
        each = {i: torch.stack([draw_a(i, rank, width, [s]) for s in range(40)]) for i in ("gaussian", "peft-gaussian", "peft-uniform")}
        for init, variance in (("gaussian", 1 / rank), ("peft-gaussian", 1 / rank**2), ("peft-uniform", 1 / (3 * width))):
            self.assertAlmostEqual(float(each[init].var()) / variance, 1, delta=0.02)
        rows = draw_a("orthonormal", rank, width, [0])
        self.assertTrue(torch.allclose(rows @ rows.T, torch.eye(rank) * width / rank, atol=1e-3))
        with self.assertRaisesRegex(Failure, "rank of at most 4"):
            draw_a("orthonormal", 5, 4, [0])

    def test_peft_begins_elsewhere(self):
        from peft import LoraConfig, get_peft_model

        for init, variance in (("gaussian", 1 / 8**2), (True, 1 / (3 * 32))):
            model = get_peft_model(llama(), LoraConfig(r=8, lora_alpha=16, init_lora_weights=init, target_modules=["q_proj"]))
            a = torch.cat([p.reshape(-1) for n, p in model.named_parameters() if "lora_A" in n])
            self.assertAlmostEqual(float(a.detach().var()) / variance, 1, delta=0.2)
        # Its default with alpha 16 slows plain SGD down to s^2 r / (3 m) of the rate, in the mean over A.
        torch.manual_seed(0)
        g = torch.randn(64, 576)
        kept = np.mean([
            float(((noise.sketched(g, draw_a("peft-uniform", 8, 576, [s])) * 2**2) * g).sum() / g.square().sum())
            for s in range(60)
        ])
        self.assertAlmostEqual(4 * 8 / (3 * 576), 0.0185, places=4)
        self.assertAlmostEqual(kept / 0.0185, 1, delta=0.05)

    def test_norm_and_direction(self):
        torch.manual_seed(0)
        g = torch.randn(192, 576)
        for rank, expected in ((4, 12.0), (8, 8.5), (32, 4.25), (64, 3.0)):
            self.assertAlmostEqual(noise.noise_ratio(576, rank) / expected, 1, delta=0.01)
        seen = [noise.sketched(g, draw_a("gaussian", 8, 576, [s])) for s in range(30)]
        ratio = np.mean([float((s - g).norm() / g.norm()) for s in seen])
        self.assertAlmostEqual(ratio / noise.noise_ratio(576, 8), 1, delta=0.05)
        cosine = np.mean([float((s * g).sum() / s.norm() / g.norm()) for s in seen])
        self.assertAlmostEqual(noise.step_cosine(576, 8), 0.117, places=3)
        self.assertAlmostEqual(cosine / 0.117, 1, delta=0.2)

    def test_distance_to_a_gaussian(self):
        floor = {1: 0.239, 2: 0.141, 4: 0.078, 8: 0.041, 16: 0.021, 32: 0.011, 64: 0.0054, 128: 0.0027}
        for rank, expected in floor.items():
            self.assertAlmostEqual(noise.gaussian_distance(rank), expected, delta=max(1e-3, expected * 0.02))
        widths = {m: noise.gaussian_distance(8, m) for m in (16, 64, 576, 1536)}
        for width, expected in ((16, 0.070), (64, 0.050), (576, 0.042), (1536, 0.042)):
            self.assertAlmostEqual(widths[width], expected, delta=0.001)
        # Width removes the self-term alone.
        self.assertLess(widths[576] - widths[1536], 0.001)
        self.assertGreater(widths[1536], floor[8] * 0.98)

    def test_frozen_noise_grows_with_the_signal_and_redrawn_noise_does_not(self):
        torch.manual_seed(0)
        g, steps = torch.randn(16, 64), 64
        frozen = steps * (noise.sketched(g, draw_a("gaussian", 8, 64, [0])) - g)
        redrawn = sum(noise.sketched(g, draw_a("gaussian", 8, 64, [1, s])) - g for s in range(steps))
        signal = steps * float(g.norm())
        self.assertGreater(float(frozen.norm()) / signal, 0.7 * noise.noise_ratio(64, 8))
        self.assertAlmostEqual(float(redrawn.norm()) / signal * steps**0.5 / noise.noise_ratio(64, 8), 1, delta=0.2)

    def test_a_that_is_trained_moves_at_second_order(self):
        moved = []
        for rate in (1e-3, 1e-2):
            run = row("lora-both", rate=rate)
            before = {n: layer.down.weight.detach().clone() for n, layer in run.layers.items()}
            for _ in range(10):
                run.step()
            far = sum(float((layer.down.weight.detach() - before[n]).square().sum()) for n, layer in run.layers.items())
            whole = sum(float(v.square().sum()) for v in before.values())
            moved.append((far / whole) ** 0.5)
        self.assertLess(moved[0], 1e-2)
        # Ten times the rate: a hundred times the way.
        self.assertAlmostEqual(moved[1] / moved[0] / 100, 1, delta=0.2)


class Rows(unittest.TestCase):
    def test_flora_is_a_new_sketch_for_every_step(self):
        run = row("flora")
        first = {n: layer.down.weight.detach().clone() for n, layer in run.layers.items()}
        before = weights(llama())
        gradients = row("full")._sums(list(range(6)))
        run.step()
        for name, layer in run.layers.items():
            self.assertFalse(torch.equal(layer.down.weight, first[name]))
            self.assertEqual(float(layer.up.weight.abs().max()), 0)
            expected = -0.1 * noise.sketched(gradients[f"{name}.weight"] / 6, first[name])
            moved = layer.base.weight - before[name]
            self.assertLess(float((moved - expected).norm() / expected.norm()), 1e-4)

    def test_full_noise_has_the_variance_of_lora(self):
        gradients = row("full")._sums(list(range(6)))
        run = row("full-noise", rank=2)
        run._gradients(list(range(6)))
        z = torch.cat([
            ((p.grad - gradients[n] / 6) / noise.noise_variance(gradients[n] / 6, 2).sqrt()).reshape(-1)
            for n, p in run.trained.items()
        ])
        self.assertAlmostEqual(float(z.std()), 1, delta=0.03)

    def test_adam_has_no_such_identity_and_is_refused_there(self):
        for method in ("flora", "full-noise"):
            with self.assertRaisesRegex(Failure, "expected the optimiser sgd"):
                row(method, optimiser="adamw")

    def test_the_end_leaves_the_same_function_in_a_plain_model(self):
        ids = torch.arange(12).view(1, -1)
        for method in ("lora", "lora-both", "flora", "dp"):
            more = {"clip": 1.0, "noiseMultiplier": 0.1} if method == "dp" else {}
            run = row(method, **more)
            run.step()
            before = run.forward(ids)
            run.end()
            self.assertEqual([n for n, _ in run.model.named_parameters()], [n for n, _ in llama().named_parameters()])
            self.assertTrue(torch.allclose(run.model(input_ids=ids).logits, before, atol=1e-4))


class Private(unittest.TestCase):
    def test_without_noise_and_bound_it_is_plain_lora(self):
        plain, private = row("lora"), row("dp", clip=1e9, noiseMultiplier=0)
        for _ in range(3):
            plain.step()
            private.step()
        for name, layer in plain.layers.items():
            other = private.layers[name].up.weight
            self.assertLess(float((layer.up.weight - other).norm() / other.norm()), 1e-5)

    def test_each_client_is_held_as_a_whole(self):
        # One client with many texts, far larger than the bound; its texts share one bound.
        group = [*clients(4), Client([np.arange(i, i + 9) for i in range(12)])]
        clip = 0.02
        run = row("dp", group=group, clip=clip, noiseMultiplier=0)
        sums = run._bounded_sums(list(range(5)))
        self.assertLessEqual(run.seen.largest, clip * (1 + 1e-5))
        expected = {n: torch.zeros_like(v) for n, v in sums.items()}
        held = 0
        for place in range(5):
            one = row("lora", group=group)._sums([place])
            norm = float(torch.cat([v.reshape(-1) for v in one.values()]).norm())
            held += norm > clip
            for name in expected:
                expected[name] += one[name] * min(1, clip / norm)
        self.assertGreater(held, 0)
        for name, value in sums.items():
            self.assertLess(float((value - expected[name]).norm()), 1e-5 * clip)

    def test_a_client_whose_gradient_is_no_number_contributes_nothing(self):
        group = clients(4)
        run = row("dp", group=group, clip=0.02, noiseMultiplier=0)
        others, forward = run._bounded_sums([1, 2, 3]), run.forward
        bad = torch.tensor(group[0].sequences[0])

        def broken(ids: torch.Tensor) -> torch.Tensor:
            its = (ids[:, : len(bad)] == bad).all(dim=1) if ids.shape[1] >= len(bad) else torch.zeros(len(ids), dtype=torch.bool)
            return forward(ids) * torch.where(its, torch.nan, 1.0)[:, None, None]

        run.forward = broken
        found = run._bounded_sums([0, 1, 2, 3])
        for name, value in others.items():
            self.assertTrue(torch.allclose(found[name], value, atol=1e-7), name)

    def test_the_noise_is_on_the_sum_and_read_back(self):
        run = row("dp", rank=8, clip=0.5, noiseMultiplier=3.0)
        zero = {n: torch.zeros(200, 200) for n in run.trained}
        run._add_noise(zero)
        values = torch.cat([v.reshape(-1) for v in zero.values()])
        self.assertAlmostEqual(float(values.std()) / 1.5, 1, delta=0.02)
        self.assertEqual(run.seen.sigma, 1.5)
        other = row("dp", rank=4, clip=0.5, noiseMultiplier=3.0)
        again = {n: torch.zeros(200, 200) for n in other.trained}
        other._add_noise(again)
        self.assertFalse(torch.equal(next(iter(zero.values())), next(iter(again.values()))))
        # Nor is it shared between steps.
        run.seen.steps += 1
        next_step = {n: torch.zeros(200, 200) for n in run.trained}
        run._add_noise(next_step)
        self.assertFalse(torch.equal(next(iter(zero.values())), next(iter(next_step.values()))))

    def test_less_noise_than_meant_is_found(self):
        run = row("dp", clip=0.5, noiseMultiplier=3.0)
        normal = torch.randn
        torch.randn = lambda *shape, **more: normal(*shape, **more) * 0.9
        try:
            with self.assertRaisesRegex(Failure, "deviation"):
                run._add_noise({n: torch.zeros(100, 100) for n in run.trained})
        finally:
            torch.randn = normal

    def test_the_mean_is_by_the_expected_size_and_an_empty_cohort_is_noise(self):
        run = row("dp", clip=0.5, noiseMultiplier=3.0)
        run.cohort = 4
        run._gradients([])
        noised = torch.cat([p.grad.reshape(-1) for p in run.trained.values()])
        self.assertAlmostEqual(float(noised.std()) / (1.5 / 4), 1, delta=0.1)

    def test_no_epsilon_without_noise(self):
        job = {"method": "dp", "rank": 4, "optimiser": "sgd", "learningRate": 1.0, "clip": 1.0, "noiseMultiplier": None, "sampling": "all"}
        with self.assertRaisesRegex(Failure, "expected a noise multiplier for the method dp"):
            _main_row(job)
        with self.assertRaisesRegex(Failure, "for no other"):
            _main_row({**job, "method": "lora", "noiseMultiplier": 1.0})
        seen = {"sigma": 0.0, "steps": 3, "taken": [3], "drawn": [1, 1, 1]}
        with self.assertRaisesRegex(Failure, "no epsilon"):
            mechanisms(job, seen, 1, 1)
        plain = mechanisms({**job, "method": "lora"}, {**seen, "sigma": None}, 1, 1)[0]
        self.assertEqual((plain["sigma"], plain["clip"]), (0, None))


class Attacks(unittest.TestCase):
    def test_a_text_is_told_apart_by_plain_lora_and_not_under_noise(self):
        torch.manual_seed(0)
        # Rank 40 of 64: directions stay free, as in a batch with fewer tokens than dimensions.
        without = torch.randn(64, 40) @ torch.randn(40, 96)
        extra = torch.randn(64, 1) @ torch.randn(1, 96) * 1e-3
        n = blind_direction(without, extra)
        self.assertLess(float((n @ without).norm()), 1e-3 * float((n @ extra).norm()) + 1e-3)
        self.assertGreaterEqual(distinguish(without, extra, 8, 60, 0), 0.99)
        for multiplier in (0.5, 1.0, 3.0):
            # The worst extra text: as long as the bound.
            found = distinguish_noised(without, extra * 1e6, 8, 2000, 0, 1.0, multiplier)
            self.assertLess(found, auc_bound(multiplier) + 0.02)
            self.assertGreater(found, auc_bound(multiplier) - 0.02)
        self.assertAlmostEqual(distinguish_noised(without, extra * 1e-6, 8, 2000, 0, 1.0, 1.0), 0.5, delta=0.03)
        self.assertIsNone(distinguish(torch.randn(8, 96), extra[:8], 4, 2, 0))

    def test_auc(self):
        random = np.random.default_rng(0)
        a, b = random.normal(0.5, 1, 300).round(1), random.normal(0, 1, 200).round(1)
        self.assertAlmostEqual(auc(a, b), roc_auc_score([1] * 300 + [0] * 200, np.concatenate([a, b])))
        found = attack_row(a, b, 300, 0)
        self.assertLess(found["aucLow"], found["auc"])
        self.assertGreater(found["aucHigh"], found["auc"])
        far = np.full(300, 100.0)
        self.assertEqual(attack_row(far, b, 10, 0)["tprAt1"], 1)
        self.assertEqual(audit_counts(far, b), {"hits": 150, "hitTrials": 150, "falseAlarms": 0, "falseAlarmTrials": 100})
        # What the threshold was chosen on is not counted.
        half = np.concatenate([np.full(150, 100.0), np.full(150, -100.0)])
        self.assertEqual(audit_counts(half, b)["hits"], 0)
        # Loss, Min-K%++, tokens: a member is who is told better than before.
        figures, before = np.array([[2.0, -0.5, 9]]), np.array([[3.5, -0.7, 9]])
        told = {name: value.tolist() for name, value in scores_of(figures, before).items()}
        self.assertEqual(told, {"loss": [-2.0], "reference": [1.5], "min-k++": [-0.5]})

    def test_figures_are_those_of_each_text_alone(self):
        model, group = llama().eval(), clients(5)
        found = client_figures(lambda ids: model(input_ids=ids).logits, group, torch.device("cpu"), 3)
        for client, (loss, least, tokens) in zip(group, found):
            losses, leasts = [], []
            for s in client.sequences:
                log_p = model(input_ids=torch.tensor(s)[None]).logits[0, :-1].log_softmax(-1).detach().double()
                own = log_p[range(len(s) - 1), s[1:]]
                mean = (log_p.exp() * log_p).sum(-1)
                spread = ((log_p.exp() * log_p**2).sum(-1) - mean**2).sqrt()
                z = ((own - mean) / spread).sort().values
                losses += (-own).tolist()
                leasts.append(float(z[: max(1, int(len(z) * 0.2))].mean()))
            self.assertAlmostEqual(loss, np.mean(losses), places=4)
            self.assertAlmostEqual(least, np.mean(leasts), places=3)
            self.assertEqual(tokens, len(losses))

    def test_rows_are_compared_at_equal_loss(self):
        look = lambda loss, found: {"method": "lora", "rank": 1, "optimiser": "sgd", "trainLoss": loss, "aucReference": found}  # noqa: E731
        table = equal_loss([[look(3.0, 0.6), look(2.0, 0.8)], [look(3.5, 0.5), look(2.5, 0.9)]], 4.0)
        self.assertEqual([round(t["aucReference"], 3) for t in table], [0.7, 0.9])
        self.assertEqual({t["trainLoss"] for t in table}, {2.5})
        # Between the start and a first look nothing was measured, and the way there is no straight line.
        table = equal_loss([[look(2.0, 0.7), look(1.0, 0.9)], [look(3.5, 0.5), look(2.5, 0.6)], [look(2.5, 0.65)]], 4.0)
        self.assertEqual([t["aucReference"] for t in table], [None, 0.6, 0.65])
        # One that learned nothing, by its noise or its rate, is compared with nobody and takes no row from the others.
        worse = [look(4.2, 0.5), look(4.1, 0.5)]
        self.assertEqual(equal_loss([worse, [look(3.0, 0.6), look(2.0, 0.8)]], 4.0)[0]["trainLoss"], 2.0)
        self.assertEqual(equal_loss([worse], 4.0), [])


if __name__ == "__main__":
    unittest.main()
