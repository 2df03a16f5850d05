# The arithmetic that an epsilon rests on: the noise on the sum, the bound on every client, the sensitivity of correlated noise,
# who is drawn, and group privacy. No training here. Run by test/finetune/federated.test.ts.
import itertools
import math
import os
import tempfile
import unittest
import warnings

os.environ["PFL_PYTORCH_DEVICE"] = "cpu"
warnings.filterwarnings("ignore")

import numpy as np
import pfl
import torch
from pfl.model.pytorch import PyTorchModel  # noqa: F401 (makes PyTorch pfl's framework)
from pfl.privacy.ftrl_mechanism import BandedMatrixFactorizationMechanism
from pfl.stats import MappedVectorStatistics
from scipy.stats import binom

from pretext_trainer.failure import Failure
from pretext_trainer.federated.cohorts import Schedule
from pretext_trainer.federated.group_privacy import group_measures
from pretext_trainer.federated.noise import Banded, Independent, Noise, Tree, norm
from pretext_trainer.federated.strategy import banded, sensitivity, workload
from pretext_trainer.federated.tree import TreeNoise, tree_matrices

SHAPES = [(3, 1), (8, 2), (8, 4), (7, 3), (9, 4), (12, 6), (20, 5)]


def zeros(size: int) -> MappedVectorStatistics:
    return MappedVectorStatistics({"a": torch.zeros(size - 10), "b": torch.zeros(2, 5)})


def cycle(rounds: int, period: int) -> Schedule:
    return Schedule("cycle", period, 1, rounds, 0)


def job(**change) -> dict:
    return {
        "noise": "independent",
        "clip": {"kind": "fixed", "bound": 0.5},
        "noiseMultiplier": 1.0,
        "sampling": "all",
        "server": {"optimiser": "sgd", "momentum": 0.9},
        **change,
    }


class SumTest(unittest.TestCase):
    def test_noise_on_the_sum_is_sigma_times_the_bound(self):
        mechanism = Independent(0.7, 1.3)
        noised, _ = mechanism.add_noise(zeros(200_000), 50, seed=5)
        draws = torch.cat([v.reshape(-1) for v in noised.values()]).double()
        self.assertLess(abs(float(draws.std()) / (0.7 * 1.3) - 1), 0.01)
        self.assertLess(abs(float(draws.mean())), 5 * 0.91 / math.sqrt(200_000))
        # Whatever the cohort: it is the sum that is noised, not the mean.
        again, _ = mechanism.add_noise(zeros(200_000), 5, seed=5)
        self.assertTrue(torch.equal(again["a"], noised["a"]))

    def test_the_noise_of_two_rounds_is_independent(self):
        mechanism = Independent(1.0, 1.0)
        one, two = (mechanism.add_noise(zeros(100_000), 1, seed=s)[0]["a"] for s in (11, 12))
        self.assertLess(abs(float(torch.corrcoef(torch.stack([one, two]))[0, 1])), 0.02)

    def test_every_update_is_bounded(self):
        random = torch.Generator().manual_seed(1)
        for scale in (0.0, 1e-6, 0.1, 1.0, 1e8, 1e25, 1e27, 1e33, 1e37, 3e38):
            update = torch.randn(50_000, generator=random) * scale
            clipped, _ = Independent(0.3, 1.0).constrain_sensitivity(MappedVectorStatistics({"a": update}))
            self.assertLessEqual(float(norm(clipped)), 0.3, scale)
            if 0.1 <= scale <= 1e25:
                # Shorter, in its own direction.
                self.assertGreater(float(norm(clipped)), 0.3 * (1 - 1e-5))
                self.assertTrue(torch.allclose(clipped["a"] / 0.3, update / update.double().norm(), rtol=1e-5))
            if 0 < scale < 1e-4:
                self.assertTrue(torch.equal(clipped["a"], update))

    def test_an_update_that_is_no_number_counts_as_nothing(self):
        for bad in (math.nan, math.inf, -math.inf):
            update = torch.ones(100)
            update[3] = bad
            clipped, _ = Independent(0.3, 1.0).constrain_sensitivity(MappedVectorStatistics({"a": update}))
            self.assertEqual(float(norm(clipped)), 0.0)


class CorrelatedTest(unittest.TestCase):
    def test_the_sensitivity_is_the_largest_that_brute_force_finds(self):
        random = np.random.default_rng(0)
        for rounds, period in SHAPES:
            patterns = cycle(rounds, period).patterns()
            for strategy in (banded(rounds, period, 0.0), banded(rounds, period, 0.9), tree_matrices(rounds, period)[0]):
                claimed, found = sensitivity(strategy, patterns), 0.0
                for pattern in patterns:
                    columns = strategy[:, pattern]
                    if len(pattern) <= 8:
                        signs = itertools.product((1.0, -1.0), repeat=len(pattern))
                        found = max(found, max(float(np.linalg.norm(columns @ s)) for s in signs))
                    # Contributions are vectors: none of norm 1 may do more.
                    for _ in range(50):
                        vectors = random.normal(size=(len(pattern), 4))
                        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
                        self.assertLessEqual(float(np.linalg.norm(columns @ vectors)), claimed * (1 + 1e-9))
                if rounds / period <= 8:
                    self.assertAlmostEqual(found, claimed, places=9, msg=f"{rounds} rounds, {period} apart")

    def test_banded_columns_have_norm_1_so_that_k_rounds_cost_their_root(self):
        for rounds, period in SHAPES:
            strategy = banded(rounds, period, 0.0)
            np.testing.assert_allclose(np.linalg.norm(strategy, axis=0), 1, atol=1e-6)
            self.assertEqual(np.abs(np.triu(strategy, 1)).max(), 0)
            most = max(len(p) for p in cycle(rounds, period).patterns())
            self.assertAlmostEqual(sensitivity(strategy, cycle(rounds, period).patterns()), math.sqrt(most), places=6)

    def test_a_tree_costs_the_nodes_that_a_round_is_in(self):
        for rounds, height in ((1, 1), (2, 2), (4, 3), (8, 4), (16, 5)):
            strategy, _ = tree_matrices(rounds, rounds)
            self.assertAlmostEqual(sensitivity(strategy, cycle(rounds, rounds).patterns()) ** 2, height)
        # Restarted: each tree is paid for.
        self.assertAlmostEqual(sensitivity(tree_matrices(12, 4)[0], cycle(12, 4).patterns()) ** 2, 9)

    def test_what_the_model_gets_is_post_processing(self):
        for rounds, period in SHAPES:
            strategy, decoder = tree_matrices(rounds, period)
            np.testing.assert_allclose(decoder @ strategy, np.eye(rounds), atol=1e-12)

    def test_correlated_noise_is_less_where_it_matters(self):
        def error(rounds, period, strategy, decoder):
            cost = sensitivity(strategy, cycle(rounds, period).patterns())
            return cost * np.linalg.norm(workload(rounds, 0.0) @ decoder)

        strategy = banded(40, 10, 0.0)
        alone = error(40, 10, np.eye(40), np.eye(40))
        tree = error(40, 10, *tree_matrices(40, 10))
        best = error(40, 10, strategy, np.linalg.inv(strategy))
        self.assertLess(best, 0.6 * alone)
        self.assertLess(best, tree)
        # The momentum of the server is part of what the noise goes through.
        momentum = workload(5, 0.5)
        np.testing.assert_allclose(momentum[4], [1 + 0.5 + 0.25 + 0.125 + 0.0625, 1.875, 1.75, 1.5, 1])

    def test_the_noise_that_is_added_has_the_covariance_of_its_matrix(self):
        rounds, period, size = 6, 3, 60_000
        strategy = banded(rounds, period, 0.0)
        made = {
            "banded": (Banded(0.5, 2.0, strategy, period), np.linalg.inv(strategy)),
            "tree": (Tree(0.5, 2.0, tree_matrices(rounds, period), period), tree_matrices(rounds, period)[1]),
        }
        for name, (mechanism, decoder) in made.items():
            noise = [mechanism.add_noise(zeros(size), 1, seed=100 + t)[0] for t in range(rounds)]
            rows = torch.stack([torch.cat([v.reshape(-1) for v in n.values()]) for n in noise]).double().numpy()
            np.testing.assert_allclose(rows @ rows.T / size, decoder @ decoder.T, atol=0.06, err_msg=name)

    def test_a_resumed_mechanism_goes_on_with_the_same_noise(self):
        strategy = banded(6, 3, 0.0)
        for make in (
            lambda: Banded(0.5, 2.0, strategy, 3),
            lambda: Tree(0.5, 2.0, tree_matrices(6, 3), 3),
        ):
            whole, resumed = make(), make()
            for t in range(4):
                whole.add_noise(zeros(500), 1, seed=100 + t)
                resumed.skip(500, 100 + t)
            one, two = (m.add_noise(zeros(500), 1, seed=104)[0]["a"] for m in (whole, resumed))
            self.assertTrue(torch.equal(one, two))

    def test_the_library_s_own_matrix_costs_more_than_it_accounts_for(self):
        """Why strategy.py does not take pfl's. Where this fails, pfl was mended."""
        self.assertEqual(pfl.__version__, "0.6.0")

        class Accountant:
            def __init__(self, compositions: int):
                self.cohort_noise_parameter = math.sqrt(compositions)

        here = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                theirs = BandedMatrixFactorizationMechanism(1.0, 20, 10, Accountant)
            finally:
                os.chdir(here)
        real = sensitivity(theirs.query_matrix, cycle(20, 10).patterns())
        self.assertAlmostEqual(theirs.relative_noise_stddev, math.sqrt(2))
        self.assertGreater(real, 1.9)


class DrawTest(unittest.TestCase):
    def test_draws_follow_from_seed_and_round(self):
        for sampling in ("poisson", "fixed", "cycle"):
            one, two = (Schedule(sampling, 40, 10, 8, 3) for _ in range(2))
            for t in range(8):
                self.assertEqual(one.draw(t).tolist(), two.draw(t).tolist())
            self.assertNotEqual(one.draw(0).tolist(), Schedule(sampling, 40, 10, 8, 4).draw(0).tolist())

    def test_poisson_draws_are_independent_coins(self):
        schedule = Schedule("poisson", 50, 10, 4000, 1)
        drawn = np.zeros((4000, 50))
        for t in range(4000):
            drawn[t, schedule.draw(t)] = 1
        # Six standard errors.
        self.assertLess(np.abs(drawn.mean(axis=0) - 0.2).max(), 6 * math.sqrt(0.16 / 4000))
        self.assertLess(abs(drawn.sum(axis=1).var() / 8 - 1), 0.15)
        self.assertLess(np.abs(np.corrcoef(drawn.T) - np.eye(50)).max(), 6 / math.sqrt(4000))

    def test_a_fixed_cohort_has_everybody_once_at_most(self):
        for t in range(20):
            drawn = Schedule("fixed", 40, 10, 20, 1).draw(t)
            self.assertEqual(len(set(drawn.tolist())), 10)

    def test_a_cycle_has_everybody_once(self):
        for clients, cohort, rounds in ((40, 10, 12), (41, 10, 12), (7, 2, 10), (5, 5, 3)):
            schedule = Schedule("cycle", clients, cohort, rounds, 1)
            turns = [schedule.draw(t).tolist() for t in range(rounds)]
            once = sorted(c for turn in turns[: schedule.period] for c in turn)
            self.assertEqual(once, list(range(clients)))
            patterns = schedule.patterns()
            for client in range(clients):
                self.assertIn([t for t in range(rounds) if client in turns[t]], patterns)

    def test_a_place_in_the_cycle_is_each_clients_own_draw(self):
        # Added or removed clients move nobody else: sizes of rounds are binomial, and two clients' places are independent.
        sizes, together = [], 0
        for seed in range(2000):
            first = Schedule("cycle", 40, 10, 4, seed).draw(0)
            sizes.append(len(first))
            together += bool({3, 17} <= set(first.tolist()))
        self.assertLess(abs(np.mean(sizes) - 10), 6 * math.sqrt(7.5 / 2000))
        self.assertLess(abs(np.var(sizes) / 7.5 - 1), 0.2)
        self.assertLess(abs(together / 2000 - 1 / 16), 6 * math.sqrt(15 / 256 / 2000))

    def test_with_one_client_more_all_others_keep_their_rounds(self):
        for clients, period in ((149, 20), (23, 4)):
            few, more = (Schedule("cycle", n, max(1, round(n / period)), 40, 5, period) for n in (clients, clients + 1))
            self.assertEqual((few.period, more.period), (period, period))
            for t in range(40):
                self.assertEqual(few.draw(t).tolist(), [c for c in more.draw(t).tolist() if c < clients])

    def test_a_cohort_larger_than_all_is_refused(self):
        with self.assertRaisesRegex(Failure, "expected a cohort of 1 to 4 clients, got 5"):
            Schedule("poisson", 4, 5, 1, 0)


class RefusalTest(unittest.TestCase):
    def refused(self, words: str, **change) -> None:
        sampling = change.get("sampling", "all")
        with self.assertRaisesRegex(Failure, words):
            Noise(job(**change), Schedule(sampling, 12, 4 if sampling != "all" else 12, 6, 0))

    def test_what_has_no_meaning(self):
        self.refused("expected a clip where noise is added", clip={"kind": "none"})
        self.refused('expected sampling "cycle" for noise "tree", got "poisson"', noise="tree", sampling="poisson")
        self.refused('expected noise "banded" or "tree" with sampling "cycle"', sampling="cycle")
        adaptive = {"kind": "adaptive", "initial": 0.1, "quantile": 0.5, "quantileNoise": None, "stepSize": 0.2}
        self.refused("expected a fixed clip for noise", clip=adaptive, noise="banded", sampling="cycle")
        self.refused("expected noise with an adaptive clip", clip=adaptive, noiseMultiplier=0)
        self.refused("the quantile alone would cost the whole budget", clip=adaptive, noiseMultiplier=1.3)


class GroupTest(unittest.TestCase):
    def measures(self, sigma: float, texts: int, sampling: str = "poisson", adjacency: str = "add-remove") -> dict:
        mechanism = {"sigma": sigma, "clip": 0.5, "cohort": 20, "clients": 400, "releases": 20, "sampling": sampling}
        return group_measures({**mechanism, "textsPerClient": texts}, 1e-5, adjacency)

    def test_one_text_is_its_own_group(self):
        told = self.measures(1.0, 1)
        self.assertEqual(told["textEpsilon"], told["groupEpsilon"])
        self.assertEqual(told["textEpsilon"], told["groupEpsilonByLemma"])

    def test_a_group_costs_more_than_its_texts_one_by_one_and_the_lemma_more_still(self):
        told = self.measures(2.0, 4)
        self.assertGreater(told["groupEpsilon"], 4 * told["textEpsilon"])
        self.assertGreaterEqual(told["groupEpsilonByLemma"], told["groupEpsilon"])
        self.assertGreater(self.measures(2.0, 4, adjacency="substitution")["groupEpsilon"], 2 * told["groupEpsilon"])

    def test_without_sampling_the_group_has_a_larger_bound(self):
        four, one = self.measures(8.0, 4, "all"), self.measures(2.0, 1, "all")
        self.assertAlmostEqual(four["groupEpsilon"], one["textEpsilon"], places=3)

    def test_the_mixture_is_what_sampling_does(self):
        # Of k texts, each in the sum with probability q, Binomial(k, q) are.
        draws = np.random.default_rng(0).random((200_000, 4)) < 0.05
        counts = np.bincount(draws.sum(axis=1), minlength=5) / 200_000
        np.testing.assert_allclose(counts, binom.pmf(range(5), 4, 0.05), atol=0.003)

    def test_without_noise_it_is_infinite(self):
        self.assertEqual(self.measures(0.0, 2)["groupEpsilon"], "infinite")


if __name__ == "__main__":
    unittest.main()
