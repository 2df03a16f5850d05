# Whole runs in this process, a second each: the step that they must equal, the bounds on every client, what is read back, a run
# that was stopped, and bugs planted in the library's parts, each of which must stop the run. Run by federated.test.ts.
import hashlib
import shutil
import unittest
import warnings
from pathlib import Path
from unittest import mock

warnings.filterwarnings("ignore")

from federated_workspace import CLIENTS, Workspace, rounds_of, run, silent, weights

import numpy as np
import torch
from pfl.aggregate.weighting import WeightByDatapoints
from pfl.privacy.privacy_mechanism import CentrallyAppliedPrivacyMechanism

from pretext_trainer import stop
from pretext_trainer.failure import Failure
from pretext_trainer.protocol import check_result
from pretext_trainer.federated import central, fedavg, local
from pretext_trainer.federated.averaging import Averaging
from pretext_trainer.federated.language_model import load
from pretext_trainer.federated.noise import Independent
from pretext_trainer.federated.text_steps import TextSteps

PLAIN = {
    "rounds": 1,
    "clip": {"kind": "none"},
    "noiseMultiplier": 0,
    "server": {"optimiser": "sgd", "learningRate": 1.0, "momentum": 0.0},
    "client": {"learningRate": 0.5, "batch": None},
}
CYCLE = {"rounds": 8, "sampling": "cycle", "cohort": 4, "checkpointRounds": 100}
ADAPTIVE = {"kind": "adaptive", "initial": 0.05, "quantile": 0.5, "quantileNoise": 1.0, "stepSize": 0.5}


class RunsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.workspace = Workspace()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.workspace.folder, ignore_errors=True)

    def rounds(self, **change):
        return rounds_of(self.workspace.federated(f"out-{self.id()}", **change))

    def done(self, **change):
        rounds = self.rounds(**change)
        run(rounds)
        return rounds

    def test_one_local_step_of_all_without_noise_is_a_step_of_gradient_descent(self):
        rounds = self.rounds(**PLAIN)
        start, gradients = weights(rounds.model).clone(), []
        for client in range(CLIENTS):
            ids, labels = rounds.cohorts._dataset(client).raw_data
            rounds.model.zero_grad()
            rounds.model.loss(ids, labels).backward()
            gradients.append(torch.cat([p.grad.reshape(-1) for p in rounds.model.trained().values()]))
        rounds.model.zero_grad()
        run(rounds)
        wanted = start - 0.5 * torch.stack(gradients).mean(dim=0)
        torch.testing.assert_close(weights(rounds.model), wanted, rtol=0, atol=2e-7)
        self.assertGreater(float((wanted - start).norm()), 0.05)

    def test_learning_goes_on(self):
        rounds = self.done(rounds=12, clip={"kind": "fixed", "bound": 1.0}, noiseMultiplier=0.01)
        before, after = rounds.looks.history[0], rounds.looks.history[-1]
        self.assertLess(after["loss"], before["loss"] - 1)
        self.assertEqual(rounds.meter.told(12)["participations"], 12 * CLIENTS)

    def test_a_huge_client_moves_the_model_as_little_as_any_other(self):
        bound, honest = 0.2, Averaging.train_one_user

        def planted(scale: float):
            def train(self, state, model, dataset, context):
                statistics, metrics = honest(self, state, model, dataset, context)
                if dataset.user_id == 4:
                    statistics = statistics.apply_elementwise(lambda v: torch.full_like(v, scale))
                return statistics, metrics

            with mock.patch.object(Averaging, "train_one_user", train):
                return weights(self.done(**{**PLAIN, "clip": {"kind": "fixed", "bound": bound}}).model)

        absent = planted(0.0)
        for scale in (1.0, 1e12, 3e38, float("nan")):
            # Alike for one that is no number: it counts as nothing.
            self.assertLessEqual(float((planted(scale) - absent).norm()), bound / CLIENTS * (1 + 1e-4), scale)

    def test_noise_is_shared_by_no_two_settings_and_no_neighbouring_data(self):
        def moved(noise: float, clients: str | None = None) -> torch.Tensor:
            more = {} if clients is None else {"clients": clients}
            quiet = {**PLAIN, "clip": {"kind": "fixed", "bound": 0.2}, "client": {"learningRate": 1e-9, "batch": None}}
            rounds = self.rounds(**{**quiet, **more, "noiseMultiplier": noise})
            start = weights(rounds.model).clone()
            run(rounds)
            return weights(rounds.model) - start

        # Clients change next to nothing: what moves the weights is noise.
        path = Path(self.workspace.federated("any")["clients"])
        fewer = self.workspace.folder / "one-text-less.jsonl"
        lines = path.read_text("utf-8").splitlines()
        fewer.write_text("\n".join(lines[:-1]) + "\n", "utf-8")
        one, two, other = moved(1.0), moved(2.0), moved(1.0, str(fewer))
        torch.testing.assert_close(one, moved(1.0))
        for left, right in ((one, two), (one, other)):
            self.assertLess(abs(float(torch.nn.functional.cosine_similarity(left, right, dim=0))), 0.1)

    def test_what_was_used_is_read_back(self):
        rounds = self.done(rounds=4, sampling="poisson", cohort=6)
        (mechanism,) = rounds.watch.mechanisms()
        drawn = [len(rounds.schedule.draw(t)) for t in range(4)]
        self.assertEqual(
            mechanism,
            {
                "sigma": 0.2 * 0.5,
                "clip": 0.2,
                "releases": 4,
                "cohort": 6,
                "clients": CLIENTS,
                "sampling": "poisson",
                "contributions": "signed",
                "maxParticipations": int(rounds.cohorts.participations.max()),
                "drawn": drawn,
            },
        )
        for release in rounds.watch.releases:
            self.assertLess(abs(release["measured"] / mechanism["sigma"] - 1), 0.02)
        # Fewer than all were drawn, and some more than once.
        self.assertLess(sum(drawn), 4 * CLIENTS)
        self.assertGreater(mechanism["maxParticipations"], 1)

    def test_the_divisor_does_not_tell_who_was_there(self):
        job = {**PLAIN, "sampling": "poisson", "cohort": 6}
        rounds = self.rounds(**job)
        start = weights(rounds.model).clone()
        kept = {}
        honest = rounds.watch.sum

        def sum_(stats):
            kept["sum"] = torch.cat([v.reshape(-1) for v in stats.values()])
            honest(stats)

        rounds.watch.sum = sum_
        run(rounds)
        self.assertNotEqual(rounds.cohorts.drawn[0], 6)
        torch.testing.assert_close(weights(rounds.model) - start, kept["sum"] / 6, rtol=1e-4, atol=1e-7)

    def test_a_round_without_a_client_is_noised_as_any_other(self):
        seed = next(s for s in range(200) if all(np.random.default_rng([s, 1, 0]).random(CLIENTS) >= 1 / CLIENTS))
        rounds = self.done(rounds=1, sampling="poisson", cohort=1, seed=seed)
        self.assertEqual(rounds.cohorts.drawn, [0])
        self.assertLess(abs(rounds.watch.releases[0]["measured"] / 0.1 - 1), 0.02)

    def test_an_adaptive_clip_pays_for_its_quantile(self):
        rounds = self.done(rounds=6, clip=ADAPTIVE, noiseMultiplier=0.8, client={"learningRate": 1.0})
        update, quantile = rounds.watch.mechanisms()
        self.assertEqual(update["together"], quantile["together"])
        # Both together have the noise multiplier that was asked for, and the update alone has more noise for it.
        joint = ((update["clip"] / update["sigma"]) ** 2 + (quantile["clip"] / quantile["sigma"]) ** 2) ** -0.5
        self.assertAlmostEqual(joint, 0.8, places=6)
        self.assertGreater(update["sigma"] / update["clip"], 0.85)
        # One client moves the count of clients by half of what it moves an answer of -1 or 1.
        self.assertAlmostEqual(quantile["sigma"] / quantile["clip"], 2 * ADAPTIVE["quantileNoise"], places=6)
        clips = [r["parts"][0]["clip"] for r in rounds.watch.releases]
        # Every update is longer than 0.05 at first: the bound goes up.
        self.assertGreater(clips[-1], 2 * clips[0])

    def test_only_adapters_are_trained_and_sent(self):
        whole = self.done(**PLAIN)
        adapted = self.done(**{**PLAIN, "rounds": 2}, lora={"rank": 2, "alpha": 8})
        self.assertLess(adapted.dimension, whole.dimension / 8)
        up = [r.meter.told(1)["bytesUpPerClientRound"] for r in (adapted, whole)]
        self.assertGreater(up[0], 4 * adapted.dimension)
        self.assertLess(up[0], up[1] / 6)
        self.assertGreater(adapted.base_bytes, 4 * whole.dimension - 1)
        base = {n: p for n, p in adapted.model.named_parameters() if not p.requires_grad}
        fresh = dict(self.rounds(**PLAIN, lora={"rank": 2, "alpha": 8}).model.named_parameters())
        for name, parameter in base.items():
            self.assertTrue(torch.equal(parameter, fresh[name]), name)
        self.assertLess(adapted.looks.history[-1]["loss"], adapted.looks.history[0]["loss"])
        result = adapted.result(Path(adapted.job["out"]) / "model")
        # The merged folder is the model that was measured.
        again = rounds_of({**self.workspace.federated("merged", **PLAIN), "start": result["model"]})
        again.looks.look(0, again.model, again.device, None)
        self.assertAlmostEqual(again.looks.history[0]["loss"], result["validation"]["loss"], places=5)

    def test_meters_count_what_was_done(self):
        rounds = self.done(rounds=2, client={"epochs": 3, "batch": None})
        meters = rounds.meter.told(2)
        # 32-bit weights and a header.
        size = 4 * rounds.dimension
        for way in ("bytesUpPerClientRound", "bytesDownPerClientRound"):
            self.assertTrue(size < meters[way] < size + 4000, way)
        self.assertGreater(meters["clientCpuSecondsPerRound"], 0)
        self.assertGreater(meters["serverCpuSeconds"], 0)
        self.assertEqual(rounds.meter.spent.steps, 2 * 3 * CLIENTS)
        places = sum(d.numel() for d in (rounds.cohorts._dataset(c).raw_data[0] for c in range(CLIENTS)))
        matrices = sum(p.numel() for n, p in rounds.model.trained().items() if p.ndim == 2)
        # A multiplication and an addition for each weight forward, twice that backward; attention comes on top. The embedding
        # is looked up, but its weights are the output layer's.
        floor = 3 * 6 * matrices * places / CLIENTS
        self.assertTrue(0.95 * floor < meters["clientFlopsPerRound"] < 1.6 * floor, meters["clientFlopsPerRound"] / floor)

    def test_the_best_model_is_kept_where_asked(self):
        rounds = self.done(rounds=6, keep="best", validateRounds=1, noiseMultiplier=3.0)
        result = rounds.result(Path(rounds.job["out"]) / "model")
        best = min(rounds.looks.history, key=lambda h: h["loss"])
        self.assertEqual(result["validation"]["loss"], best["loss"])
        self.assertEqual(result["measures"]["keptRound"], best["round"])
        self.assertEqual(len(rounds.looks.history), 7)

    def test_stopped_and_resumed_it_ends_at_the_same_weights(self):
        for name, change in {
            "adam": {"rounds": 6, "sampling": "poisson", "cohort": 6, "server": {"optimiser": "adam", "learningRate": 0.01, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-3}},
            "banded": {**CYCLE, "noise": "banded"},
            "tree": {**CYCLE, "noise": "tree"},
            "adaptive": {"rounds": 6, "sampling": "fixed", "cohort": 6, "clip": ADAPTIVE},
        }.items():
            whole = fedavg.run(self.workspace.federated(f"whole-{name}", **change), silent())
            job = self.workspace.federated(f"stopped-{name}", **change)

            def at_three(event):
                if event["event"] == "progress" and event["done"] == 3:
                    stop._Wanted.stop = True

            try:
                with self.assertRaisesRegex(Failure, "stopped"):
                    fedavg.run(job, silent(on_event=at_three))
            finally:
                stop._Wanted.stop = False
            heard = []
            resumed = fedavg.run({**job, "resume": True}, silent(heard))
            self.assertIn("resumed training on the devices behind 3 of", str(heard))
            sha = [hashlib.sha256((Path(r["model"]) / "model.safetensors").read_bytes()).hexdigest() for r in (whole, resumed)]
            self.assertEqual(*sha, name)
            self.assertEqual(whole["mechanisms"], resumed["mechanisms"], name)
            for meter in ("participations", "bytesUpPerClientRound", "clientFlopsPerRound"):
                self.assertEqual(whole["meters"][meter], resumed["meters"][meter], f"{name} {meter}")
            # Again: it is finished, and answers what it answered.
            self.assertEqual(fedavg.run({**job, "resume": True}, silent()), resumed)

    def test_what_cannot_be_read_is_refused_without_a_word_of_it(self):
        job = self.workspace.federated("refused")
        with self.assertRaisesRegex(Failure, "expected validation clients that no arm trains on, got 12"):
            fedavg.run({**job, "validation": job["clients"]}, silent())
        torn = self.workspace.folder / "torn.jsonl"
        torn.write_text('{"client": "a", "text": "one two"}\n{"client": "zebra", "tex', "utf-8")
        with self.assertRaises(Failure) as caught:
            fedavg.run({**job, "validation": str(torn)}, silent())
        self.assertEqual(caught.exception.message, f'{torn}:2: expected a JSON object with a "client" and a "text"')
        with self.assertRaisesRegex(Failure, "expected client.epochs or client.steps, got both"):
            self.rounds(client={"epochs": 2, "steps": 1})
        with self.assertRaisesRegex(Failure, 'expected no cohort with sampling "all", got 4 of 12 clients'):
            self.rounds(cohort=4)

    def test_other_settings_are_not_resumed(self):
        job = self.workspace.federated("other", rounds=3, checkpointRounds=1)
        with mock.patch.object(fedavg, "finish"):
            fedavg.run(job, silent())
        with self.assertRaisesRegex(Failure, "belongs to a training with other settings .different: noiseMultiplier."):
            fedavg.run({**job, "resume": True, "noiseMultiplier": 0.4}, silent())


class PlantedTest(unittest.TestCase):
    """Mechanisms that do not do what they say. Each would make the reported epsilon too small."""

    @classmethod
    def setUpClass(cls):
        cls.workspace = Workspace()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.workspace.folder, ignore_errors=True)

    def refused(self, words: str, plant, **change) -> None:
        rounds = rounds_of(self.workspace.federated("planted", **change))
        plant(rounds)
        with self.assertRaisesRegex(Failure, f"the run is not what it would report: .*{words}"):
            run(rounds)

    def noise(self, words: str, add_noise, **change) -> None:
        class Planted(Independent):
            def add_noise(self, statistics, cohort_size, *args, **kwargs):
                honest = super().add_noise
                return add_noise(self, honest, statistics, cohort_size, *args, **kwargs)

        def plant(rounds):
            rounds.noise.postprocessor = CentrallyAppliedPrivacyMechanism(Planted(0.2, 0.5))

        self.refused(words, plant, **change)

    def test_noise_on_the_mean(self):
        def on_mean(self, honest, statistics, cohort, *args, **kwargs):
            self._relative_noise_stddev /= cohort
            noised = honest(statistics, cohort, *args, **kwargs)
            self._relative_noise_stddev *= cohort
            return noised

        self.noise("noise of standard deviation .* where the mechanism claims 0.1", on_mean)

    def test_a_tenth_less_noise(self):
        def less(self, honest, statistics, cohort, *args, **kwargs):
            self._relative_noise_stddev *= 0.9
            noised = honest(statistics, cohort, *args, **kwargs)
            self._relative_noise_stddev /= 0.9
            return noised

        self.noise("noise of standard deviation 0.0(89|90).* where the mechanism claims 0.1", less)

    def test_a_sum_that_is_scaled_after_it_was_noised(self):
        def scaled(self, honest, statistics, cohort, *args, **kwargs):
            noised, metrics = honest(statistics, cohort, *args, **kwargs)
            return noised.apply_elementwise(lambda v: 1.3 * v), metrics

        self.noise("noise of standard deviation", scaled)

    def test_no_clip(self):
        def plant(rounds):
            class Loose(Independent):
                def constrain_sensitivity(self, statistics, *args, **kwargs):
                    return statistics, Independent(1e9, 1.0).constrain_sensitivity(statistics)[1]

            rounds.noise.postprocessor = CentrallyAppliedPrivacyMechanism(Loose(0.01, 0.5))

        self.refused("an update of L2 norm .* went into the sum, above the bound 0.01", plant)

    def test_weights_by_the_size_of_the_data(self):
        def plant(rounds, place: int):
            honest = type(rounds.watch).postprocessors.fget(rounds.watch)
            listed = [*honest[:place], WeightByDatapoints(), *honest[place:]]
            patch = mock.patch.object(type(rounds.watch), "postprocessors", property(lambda self: listed))
            patch.start()
            self.addCleanup(patch.stop)

        for place in (1, 2):
            with self.subTest(place=place):
                self.refused("a client's update weighed", lambda r: plant(r, place))
                self.doCleanups()

    def test_a_client_that_is_counted_twice(self):
        def plant(rounds):
            honest = rounds.cohorts.get_cohort

            def twice(size):
                handed = list(honest(size))
                yield from [*handed, handed[0]]

            rounds.cohorts.get_cohort = twice

        self.refused("the sum is over 13 contributions where 12 clients were drawn", plant)


class CentralTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.workspace = Workspace()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.workspace.folder, ignore_errors=True)

    def test_by_client_it_learns_and_sends_texts_once(self):
        result = check_result("central-dp", central.run(self.workspace.central(steps=12, noiseMultiplier=0.05), silent()))
        (mechanism,) = result["mechanisms"]
        self.assertEqual((mechanism["clip"], mechanism["sigma"], mechanism["releases"]), (1.0, 0.05, 12))
        self.assertEqual((mechanism["sampling"], mechanism["cohort"], mechanism["clients"]), ("poisson", 6, CLIENTS))
        self.assertLess(result["validation"]["loss"], result["measures"]["validation"][0]["loss"])
        self.assertEqual((result["meters"]["rounds"], result["meters"]["participations"]), (1, CLIENTS))
        self.assertEqual(result["meters"]["clientFlopsPerRound"], 0)
        self.assertTrue(20 < result["meters"]["bytesUpPerClientRound"] < 1000)

    def texts(self, **change) -> TextSteps:
        from pretext_trainer.federated.clients import read_rows, texts_by_client

        job = self.workspace.central(unit="text", texts=3, **change)
        rows = texts_by_client(read_rows(job["clients"], "clients"))
        return TextSteps(job, silent(), "pooled", rows, read_rows(job["validation"], "validation clients"))

    def test_the_gradient_of_every_text_is_bounded(self):
        for lora in (None, {"rank": 2, "alpha": 8}):
            steps = self.texts(lora=lora, clip=0.6)
            if lora is not None:
                torch.manual_seed(0)
                for name, p in steps.model.trained().items():
                    if "lora_B" in name:
                        torch.nn.init.normal_(p)
            chosen = steps.texts[:21]
            sums = torch.cat([s.reshape(-1) for s in steps.clipped_sum(chosen)])
            plain, wanted, clipped = load(steps.job), 0, 0
            plain.load_state_dict(steps.model.state_dict())
            for text in chosen:
                plain.zero_grad()
                ids = torch.from_numpy(text)[None]
                plain.loss(ids, ids).backward()
                gradient = torch.cat([p.grad.reshape(-1) for p in plain.trained().values()])
                clipped += float(gradient.norm()) > 0.6
                wanted = wanted + gradient * min(1.0, 0.6 / float(gradient.norm()))
            self.assertGreater(clipped, 0)
            torch.testing.assert_close(sums, wanted, rtol=1e-3, atol=2e-5)

    def test_by_text_what_was_used_is_read_back_with_its_group(self):
        job = self.workspace.central("text", unit="text", texts=3, batch=8, steps=3, noiseMultiplier=2.0)
        result = check_result("central-dp", central.run(job, silent()))
        (mechanism,) = result["mechanisms"]
        texts = sum(min(3, 1 + c % 5) for c in range(CLIENTS))
        self.assertEqual((mechanism["unit"], mechanism["textsPerClient"], mechanism["clients"]), ("text", 3, texts))
        self.assertEqual((mechanism["sigma"], mechanism["clip"], mechanism["cohort"]), (2.0, 1.0, 8))
        self.assertLess(abs(result["measures"]["measuredSigma"] / 2 - 1), 0.01)
        self.assertGreater(result["measures"]["groupEpsilon"], 2 * result["measures"]["textEpsilon"])

    def test_less_noise_than_claimed_is_refused(self):
        steps = self.texts()
        honest = type(steps.optimiser).add_noise

        def less(self):
            self.noise_multiplier *= 0.9
            honest(self)
            self.noise_multiplier /= 0.9

        with mock.patch.object(type(steps.optimiser), "add_noise", less):
            with self.assertRaisesRegex(Failure, "lies on a step's sum of gradients where the mechanism claims 0.5"):
                steps.step()

    def test_what_the_group_needs_is_asked_for(self):
        with self.assertRaisesRegex(Failure, "expected the texts of one client, at most"):
            central.run(self.workspace.central("x", unit="text"), silent())


class LocalTest(unittest.TestCase):
    def test_every_client_gains_by_itself_and_shares_nothing(self):
        workspace = Workspace()
        self.addCleanup(shutil.rmtree, workspace.folder, True)
        result = check_result("local", local.run(workspace.local(), silent()))
        self.assertEqual((result["model"], result["mechanisms"]), (None, []))
        self.assertEqual(result["meters"]["bytesUpPerClientRound"], 0)
        measures = result["measures"]
        # Those with one text have nothing to hold out.
        able = sum(1 + c % 5 > 1 for c in range(CLIENTS))
        self.assertEqual(measures["clients"], able)
        self.assertLess(measures["ownAfterLoss"], measures["ownBeforeLoss"] - 0.3)
        self.assertGreaterEqual(measures["clientsThatGained"], able - 2)
        self.assertEqual([Path(m["folder"]).name for m in measures["models"]], ["0", "1"])
        self.assertTrue((Path(measures["models"][1]["folder"]) / "model.safetensors").exists())
        mean = np.mean([m["loss"] for m in measures["models"]])
        self.assertAlmostEqual(result["validation"]["loss"], float(mean))
        # Two clients start from the same weights: which come first changes nothing.
        again = local.run(workspace.local("again", sample=able - 1), silent())
        self.assertEqual(again["measures"]["models"][0]["loss"], measures["models"][0]["loss"])
        # Stopped behind the last client and resumed, nothing is done again.
        resumed = local.run({**workspace.local(), "resume": True}, silent())
        self.assertEqual(resumed["measures"], measures)


if __name__ == "__main__":
    unittest.main()
