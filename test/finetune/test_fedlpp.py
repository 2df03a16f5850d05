# FedLPP: the quantiser's figures, what separates its update rules, and that quantised delivery is the only thing that differs
# from pfl's federated averaging.
import copy
import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from tiny_llama import clients, llama

from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.common_types import Population
from pfl.context import CentralContext
from pfl.hyperparam import NNTrainHyperParams
from pfl.model.pytorch import PyTorchModel
from pfl.stats import MappedVectorStatistics
from pretext_trainer.arm import noise_seeds
from pretext_trainer.failure import Failure
from pretext_trainer.fedlpp import rounds
from pretext_trainer.fedlpp.adapter import distance, load, trained, with_adapter
from pretext_trainer.fedlpp.clients import both_groups, check_cohort, draw
from pretext_trainer.fedlpp.gaps import averages, gap_row, recovery
from pretext_trainer.fedlpp.progress import Progress
from pretext_trainer.fedlpp.quantise import codebook, decode, encode, quantised

JOB = {
    "seed": 3,
    "sampling": "fixed",
    "rounds": 4,
    "block": 256,
    "localEpochs": 2,
    "localBatch": 2,
    "localRate": 1e-2,
    "weightDecay": 0.01,
    "serverRate": 1.0,
    "rule": "keep",
    "clip": 0.3,
    "noiseMultiplier": None,
}


def training(bits: int, count: int = 12, cohort: int = 5, **job) -> rounds.Training:
    model = with_adapter(llama(), 4, 8, 1)
    # B is not zero, as after some rounds.
    torch.manual_seed(7)
    load(model, {n: v if "lora_A" in n else torch.randn_like(v) * 0.05 for n, v in trained(model).items()})
    return rounds.Training(model, clients(count), cohort, bits, {**JOB, **job})


def same(a: dict, b: dict) -> bool:
    return all(torch.equal(a[n], b[n]) for n in a)


class Quantiser(unittest.TestCase):
    def test_errors_are_those_of_normal_float(self):
        torch.manual_seed(0)
        gaussian, uniform = torch.randn(2**19), torch.rand(2**19) * 2 - 1
        settings = [(1, 256), (2, 64), (2, 256), (3, 256), (4, 256)]
        expected = {
            "gaussian": [(0.653, 0.700), (0.317, 0.855), (0.397, 0.810), (0.0476, 0.976), (0.0098, 0.995)],
            "uniform": [(0.247, 0.919), (0.158, 0.941), (0.164, 0.939), (0.0338, 0.984), (0.0086, 0.996)],
        }
        for name, x in (("gaussian", gaussian), ("uniform", uniform)):
            for (bits, block), (error, cosine) in zip(settings, expected[name]):
                q = quantised(x, bits, block)
                with self.subTest(data=name, bits=bits, block=block):
                    self.assertAlmostEqual(float((q - x).square().sum() / x.square().sum()) / error, 1, delta=0.03)
                    self.assertAlmostEqual(float(q @ x / q.norm() / x.norm()) / cosine, 1, delta=0.03)

    def test_its_codebooks(self):
        self.assertTrue(torch.allclose(codebook(2), torch.tensor([-1, 0, 0.338, 1]), atol=1e-3))
        three = torch.tensor([-1, -0.479, -0.217, 0, 0.161, 0.338, 0.563, 1])
        self.assertTrue(torch.allclose(codebook(3), three, atol=1e-3))
        self.assertEqual(len(codebook(4)), 16)
        self.assertEqual(codebook(1).tolist(), [-1, 0, 1])

    def test_twice_is_once_and_zero_stays(self):
        torch.manual_seed(1)
        # 1000 is no multiple of a block: the tail is a block of its own.
        x = torch.randn(1000) * torch.linspace(0.001, 3, 1000)
        for bits in (1, 2, 3, 4, 16):
            for scale in (np.float16, np.float32):
                q = quantised(x, bits, 64, np.dtype(scale))
                self.assertEqual(q.shape, x.shape)
                self.assertTrue(torch.equal(quantised(q, bits, 64, np.dtype(scale)), q))
            self.assertTrue(torch.equal(quantised(torch.zeros(70), bits, 64), torch.zeros(70)))

    def test_the_largest_of_a_block_is_kept(self):
        torch.manual_seed(2)
        x = torch.randn(640)
        for bits in (1, 2, 3, 4):
            q = quantised(x, bits, 64)
            for mine, theirs in zip(x.view(-1, 64), q.view(-1, 64)):
                self.assertEqual(float(mine.abs().max()), float(theirs.abs().max()))
        # The tail too, which is shorter.
        tail = torch.tensor([*[0.1] * 64, 0.5, -2.0])
        self.assertEqual(float(quantised(tail, 3, 64)[-1]), -2.0)

    def test_two_bits_are_biased_upward(self):
        torch.manual_seed(3)
        x = torch.randn(2**19)
        for block in (64, 256):
            q = quantised(x, 2, block)
            shift = float((q - x).mean())
            self.assertGreater(shift, 0.10)
            self.assertLess(shift, 0.17)
            scales = x.view(-1, block).abs().amax(dim=1, keepdim=True)
            negative = (q.view(-1, block) / scales)[q.view(-1, block) < 0]
            self.assertTrue(torch.equal(negative, -torch.ones_like(negative)))

    def test_the_message_of_smollm2_at_two_bits(self):
        shapes = [(8, 576), (576, 8), (8, 576), (192, 8), (8, 576), (192, 8), (8, 576), (576, 8)]
        adapter = {str(i): torch.randn(shapes[i % 8]) for i in range(8 * 30)}
        self.assertEqual(sum(v.numel() for v in adapter.values()), 921_600)
        self.assertEqual(len(encode(adapter, 2, 256, rounds.SCALE)), 237_600)
        message = encode(adapter, 3, 256, rounds.SCALE)
        back = decode(message, {n: torch.empty_like(v) for n, v in adapter.items()}, 3, 256, rounds.SCALE)
        self.assertTrue(same(back, {n: quantised(v, 3, 256, rounds.SCALE) for n, v in adapter.items()}))


class Rounds(unittest.TestCase):
    def test_sixteen_bits_are_federated_averaging(self):
        mine = training(16)
        theirs = copy.deepcopy(mine.model)
        for _ in range(3):
            mine.step()
        wrapped = rounds.NextToken(theirs)
        optimise = lambda p, lr: torch.optim.AdamW([v for v in p if v.requires_grad], lr=lr, weight_decay=0.01)  # noqa: E731
        own = [p for p in wrapped.parameters() if p.requires_grad]
        model = PyTorchModel(wrapped, optimise, torch.optim.SGD(own, lr=1.0))
        cohorts = rounds.Cohorts(clients(12), 3, torch.device("cpu"))
        backend, algorithm = SimulatedBackend(cohorts, cohorts), FederatedAveraging()
        local = NNTrainHyperParams(local_num_epochs=2, local_learning_rate=1e-2, local_batch_size=2, local_max_grad_norm=1.0)
        for i in range(3):
            cohorts.round, cohorts.cohort = i, draw(12, 5, "fixed", 3, i)
            context = CentralContext(
                current_central_iteration=i,
                do_evaluation=False,
                cohort_size=5,
                population=Population.TRAIN,
                model_train_params=local,
                model_eval_params=None,
                algorithm_params=mine._parameters,
                seed=1,
            )
            statistics, metrics = backend.gather_results(model, algorithm, central_context=context)
            algorithm.process_aggregated_statistics(context, metrics, model, statistics)
        self.assertTrue(same(trained(mine.model), trained(theirs)))
        other = training(4)
        for _ in range(3):
            other.step()
        self.assertFalse(same(trained(other.model), trained(theirs)))

    def test_without_updates_the_rules_part(self):
        for rule in ("keep", "overwrite", "pull"):
            run = training(2, rule=rule, localRate=0.0, weightDecay=0.0)
            before = trained(run.model)
            delivered = run.step()
            after = trained(run.model)
            with self.subTest(rule=rule):
                self.assertFalse(same(delivered, before))
                if rule == "keep":
                    self.assertTrue(same(after, before))
                elif rule == "overwrite":
                    self.assertTrue(same(after, delivered))
                else:
                    self.assertLess(distance(after, delivered), 1e-6)

    def test_the_pull_of_a_decaying_rule_ends_with_the_rounds(self):
        # Without updates the server moves to what was delivered by the whole way, half of it, ... of `rounds` steps.
        run = training(2, rule="pull-decay", localRate=0.0, weightDecay=0.0, rounds=2)
        for share in (1.0, 0.5):
            before = trained(run.model)
            delivered = run.step()
            expected = {n: v + share * (delivered[n] - v) for n, v in before.items()}
            self.assertLess(distance(trained(run.model), expected), 1e-6)

    def test_a_round_is_the_mean_difference_to_what_was_delivered(self):
        run = training(2, localEpochs=1, localBatch=64)
        before = trained(run.model)
        alone = copy.deepcopy(run.model)
        delivered = run.step()
        differences = []
        for place in draw(12, 5, "fixed", 3, 0):
            load(alone, delivered)
            own = [p for p in alone.parameters() if p.requires_grad]
            optimiser = torch.optim.AdamW(own, lr=1e-2, weight_decay=0.01)
            rounds.NextToken(alone).loss(*run.cohorts.dataset(place, 0).raw_data).backward()
            torch.nn.utils.clip_grad_norm_(own, 1.0)
            optimiser.step()
            optimiser.zero_grad()
            differences.append({n: v - delivered[n] for n, v in trained(alone).items()})
        expected = {n: v + torch.stack([d[n] for d in differences]).mean(dim=0) for n, v in before.items()}
        self.assertLess(distance(trained(run.model), expected), 1e-6)

    def test_the_server_keeps_its_own_weights_while_clients_train(self):
        run = training(2)
        before = trained(run.model)
        seen = []
        inner = run._algorithm.simulate_one_user

        def watched(*args, **more):
            answer = inner(*args, **more)
            seen.append(same(trained(run.model), before))
            return answer

        run._algorithm.simulate_one_user = watched
        run.step()
        self.assertEqual(seen, [True] * 5)

    def test_each_setting_draws_noise_of_its_own(self):
        seeds = [noise_seeds({**JOB, "localRate": r})(b, i) for r in (0.1, 0.2) for b in (2, 4) for i in range(3)]
        self.assertEqual(len(set(seeds)), 12)
        self.assertEqual(noise_seeds({**JOB, "threads": 1})(2, 0), noise_seeds({**JOB, "threads": 2, "out": "x"})(2, 0))
        # One client more or less is another training, wherever its file lies.
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("a", "b", "c")]
            for path, text in zip(paths, ("one client", "one client", "one client less"), strict=True):
                path.write_text(text, "utf-8")
            a, b, c = (noise_seeds({**JOB, "clients": str(path)})(2, 0) for path in paths)
        self.assertEqual(a, b)
        self.assertNotEqual(a, c)


class Privacy(unittest.TestCase):
    def test_every_contribution_is_held_and_the_sum_has_its_noise(self):
        run = training(2, localRate=5.0, noiseMultiplier=2.0)
        run.step()
        mechanism = run.mechanism
        self.assertEqual(mechanism.contributions, 5)
        self.assertLessEqual(mechanism.largest_norm, 0.3 * (1 + 1e-5))
        self.assertGreater(mechanism.largest_norm, 0.3 * (1 - 1e-5))
        self.assertEqual(mechanism.sigma, 0.6)

    def test_noise_is_on_the_sum(self):
        mechanism = rounds.WatchedGaussian(0.5, 3.0)
        sums = MappedVectorStatistics({"a": torch.zeros(100, 200)}, weight=7.0)
        noised, _ = mechanism.add_noise(sums, 10, seed=5)
        self.assertAlmostEqual(float(noised["a"].std()) / 1.5, 1, delta=0.02)

    def test_less_noise_than_meant_is_found(self):
        class Lazy(rounds.GaussianMechanism):
            def add_noise(self, statistics, cohort_size, name_formatting_fn=str, seed=None):
                found = super().add_noise(statistics, cohort_size, seed=seed)[0]
                return found.apply_elementwise(lambda v: v * 0.9), None

        class Watched(rounds.WatchedGaussian, Lazy):
            pass

        with self.assertRaisesRegex(Failure, "deviation"):
            Watched(0.5, 3.0).add_noise(MappedVectorStatistics({"a": torch.zeros(100, 200)}), 10, seed=5)

    def test_a_larger_contribution_than_meant_is_found(self):
        class Open(rounds.GaussianMechanism):
            def constrain_sensitivity(self, statistics, name_formatting_fn=str, seed=None):
                return statistics, None

        class Watched(rounds.WatchedGaussian, Open):
            pass

        with self.assertRaisesRegex(Failure, "larger than its bound"):
            Watched(0.5, 3.0).constrain_sensitivity(MappedVectorStatistics({"a": torch.ones(3)}))

    def test_a_client_whose_update_is_no_number_contributes_nothing(self):
        for bad in (float("nan"), float("inf")):
            update = MappedVectorStatistics({"a": torch.tensor([1.0, bad])})
            held, _ = rounds.WatchedGaussian(0.5, 3.0).constrain_sensitivity(update)
            self.assertEqual(held["a"].tolist(), [0, 0])

    def test_the_sum_is_divided_by_the_expected_size(self):
        run = training(16, sampling="poisson")
        inner, sums = run._algorithm.process_aggregated_statistics, {}

        def watched(context, metrics, model, statistics):
            sums.update({k: v.clone() for k, v in statistics.items()})
            return inner(context, metrics, model, statistics)

        run._algorithm.process_aggregated_statistics = watched
        before = trained(run.model)
        while not run.meters.drawn or run.meters.drawn[-1] in (0, 5):
            before = trained(run.model)
            run.step()
        expected = {n: v + sums[f"model.{n}"] / 5 for n, v in before.items()}
        self.assertLess(distance(trained(run.model), expected), 1e-6)

    def test_a_round_without_clients_is_released_with_its_noise(self):
        run = training(2, sampling="poisson", count=12, cohort=5, noiseMultiplier=2.0)
        rounds_draw, rounds.draw = rounds.draw, lambda *_: []
        try:
            before = trained(run.model)
            run.step()
        finally:
            rounds.draw = rounds_draw
        moved = torch.cat([(v - before[n]).reshape(-1) for n, v in trained(run.model).items()])
        self.assertEqual(run.meters.drawn, [0])
        self.assertAlmostEqual(float(moved.std()) / (0.6 / 5), 1, delta=0.1)


class Inputs(unittest.TestCase):
    def test_a_cohort_is_no_larger_than_the_clients(self):
        self.assertEqual(check_cohort({"sampling": "all", "cohort": 500}, 12), 12)
        with self.assertRaises(Failure) as raised:
            check_cohort({"sampling": "fixed", "cohort": 500}, 12)
        self.assertEqual(raised.exception.message, "expected a cohort of at most 12 clients, got 500")
        for number in range(30):
            self.assertEqual(len(set(draw(20, 8, "fixed", 1, number))), 8)

    def test_a_client_is_in_one_group_alone(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write(json.dumps({"client": "a", "text": "zebra"}))
            file.flush()
            with self.assertRaises(Failure) as raised:
                both_groups({"clients": file.name, "validation": file.name}, None)
        self.assertEqual(raised.exception.code, "data")
        self.assertNotIn("zebra", raised.exception.message)


class Unfinished(unittest.TestCase):
    def test_it_goes_on_with_its_own_settings_and_texts_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            texts = Path(folder) / "clients.jsonl"
            texts.write_text("zebra")
            job = {"out": f"{folder}/out", "resume": True, "clients": str(texts), "validation": "", "rank": 4, "threads": 1}
            self.assertIsNone(Progress(job).load())
            Progress(job).save({"round": 2}, {"a": torch.ones(3)})
            state, tensors = Progress({**job, "threads": 2}).load()
            self.assertEqual((state, tensors["a"].tolist()), ({"round": 2}, [1, 1, 1]))
            with self.assertRaisesRegex(Failure, "different: rank"):
                Progress({**job, "rank": 2}).load()
            # Killed between the two renames of a save.
            kept = Path(folder) / "out" / "checkpoint"
            kept.rename(kept.with_name(".checkpoint.old"))
            self.assertEqual(Progress(job).load()[0], {"round": 2})
            texts.write_text("horse")
            with self.assertRaisesRegex(Failure, "the texts of clients") as raised:
                Progress(job).load()
            self.assertNotIn("zebra", raised.exception.message)
            texts.write_text("zebra")
            Progress(job).finish({"done": 1})
            self.assertEqual(Progress(job).finished(), {"done": 1})
            self.assertIsNone(Progress(job).load())
            self.assertIsNone(Progress({**job, "resume": False}).finished())


class Gaps(unittest.TestCase):
    def test_averages_tell_more_only_where_roundings_differ(self):
        torch.manual_seed(0)
        exact = {"a": torch.randn(4096)}
        same_each = [{"a": quantised(exact["a"], 2, 256)}] * 5
        self.assertAlmostEqual(recovery(exact, same_each)["errorOf1"], recovery(exact, same_each)["errorOf5"], places=6)
        dithered = []
        for _ in range(5):
            dither = torch.randn(4096) * 0.5
            dithered.append({"a": quantised(exact["a"] + dither, 4, 256) - dither})
        self.assertLess(recovery(exact, dithered)["errorOf5"], 0.6 * recovery(exact, dithered)["errorOf1"])
        self.assertEqual(sorted(averages(same_each[:2])), [1, 2])

    def test_the_best_a_client_can_build_counts_and_the_server_is_put_back(self):
        run = training(2)
        deliveries = [run.step() for _ in range(2)]
        exact = trained(run.model)
        losses = iter([1.0, 3.0, 2.5, 2.0, 1.8, 1.9])
        row = gap_row(run.model, lambda: next(losses), run.train_alone, deliveries, [0], 2)
        self.assertTrue(same(trained(run.model), exact))
        self.assertEqual(row["gapBefore"], 2.0)
        self.assertEqual(row["clientAveraged"], 2.5)
        self.assertEqual(row["gapAfter"], 1.0)
        self.assertAlmostEqual(row["gapHealed"], 0.8)
        self.assertAlmostEqual(row["gapBest"], 0.8)
        # An average of deliveries may be the best of all; and every attacker begins at the last delivery.
        begun: list[bool] = []
        losses = iter([1.0, 3.0, 0.9, 2.0, 1.8, 2.0, 1.8])

        def train(client: int, extra: int) -> None:
            if extra == 0:
                begun.append(same(trained(run.model), deliveries[-1]))
            run.train_alone(client, extra)

        row = gap_row(run.model, lambda: next(losses), train, deliveries, [0, 1], 1)
        self.assertAlmostEqual(row["gapBest"], -0.1)
        self.assertEqual(begun, [True, True])


if __name__ == "__main__":
    unittest.main()
