# DR-Encoder's promises: the codecs' identities, what is clipped and noised, which orders are refused, and whole runs of a
# tiny model. Run by dr-encoder.test.ts, which hands over a job with the schema's defaults.
import copy
import json
import math
import os
import shutil
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors.torch import load_file

from pretext_trainer import stop
from pretext_trainer.arm import noise_seeds
from pretext_trainer.channel import Channel
from pretext_trainer.dr_encoder import job as dr_encoder
from pretext_trainer.dr_encoder.clients import Client, cohort, rows_of, train_locally
from pretext_trainer.dr_encoder.codec import AutoEncoder, Identity, Pca, RandomProjection, make
from pretext_trainer.dr_encoder.federation import Federation
from pretext_trainer.dr_encoder.gates import cosine, reconstruction
from pretext_trainer.dr_encoder.layout import Layout, layout_of
from pretext_trainer.dr_encoder.message import Clip, Noise
from pretext_trainer.dr_encoder.prior import FLOOR, Prior, prior_of, released, statistics_of
from pretext_trainer.dr_encoder.stage_one import first_part, second_part
from pretext_trainer.dr_encoder.train_codec import trained
from pretext_trainer.dr_encoder.uplink import Uplink, check_orders
from pretext_trainer.failure import Failure
from speaking_llama import rows, tiny

CPU = torch.device("cpu")
torch.set_num_threads(1)


def layout_for(hidden: int, layers: int, kv: int, rank: int) -> Layout:
    """q, k, v, o of `layers` layers as LoRA names them, shapes alone."""
    shapes = {}
    for layer in range(layers):
        for name, wide in (("q", hidden), ("k", kv), ("v", kv), ("o", hidden)):
            shapes[f"{layer}.{name}.A"] = torch.empty(rank, hidden, device="meta")
            shapes[f"{layer}.{name}.B"] = torch.empty(wide, rank, device="meta")
    return layout_of(shapes, hidden)


SMALL = layout_for(64, 4, 64, 8)


def iid_prior(layout: Layout, std: float) -> Prior:
    tensors = len(layout.spans)
    return Prior(torch.zeros(1, tensors), torch.full((1, tensors), float(std)))


class Seeded(unittest.TestCase):
    """Each test has its own draws, the same alone and among the others."""

    def setUp(self):
        torch.manual_seed(0)


class LayoutTest(Seeded):
    def test_there_and_back_is_the_same_bits_for_any_shapes(self):
        for hidden, layers, kv, rank in ((64, 4, 64, 8), (64, 4, 16, 8), (96, 3, 32, 4), (576, 2, 192, 8), (128, 1, 128, 1)):
            layout = layout_for(hidden, layers, kv, rank)
            flat = torch.randn(layout.numel)
            flat[0], flat[-1] = -0.0, 1e-40
            image = layout.image(flat)
            self.assertEqual(image.shape, (1, layout.height, layout.width))
            for side in image.shape[1:]:
                self.assertTrue(side % 64 == 0 and side >= 128)
            self.assertTrue(torch.equal(layout.flat(image).view(torch.int32), flat.view(torch.int32)))

    def test_smollm2_fills_its_image_and_its_code_is_64_by_9_by_25(self):
        layout = layout_for(576, 30, 192, 8)
        self.assertEqual((layout.numel, layout.height, layout.width), (921_600, 576, 1600))
        with torch.no_grad():
            code = make("autoencoder", layout, iid_prior(layout, 1), 0, CPU).encoder(torch.zeros(1, 1, 576, 1600))
        self.assertEqual(code.shape, (1, 64, 9, 25))
        self.assertEqual(code.numel() * 64, layout.numel)


class CodecTest(Seeded):
    def test_a_code_has_one_64th_of_the_numbers(self):
        for name in ("autoencoder", "pca", "random-projection"):
            codec = make(name, SMALL, iid_prior(SMALL, 1e-3), 0, CPU)
            self.assertEqual(codec.encode(torch.randn(SMALL.numel)).numel() * 64, SMALL.numel, name)
            self.assertEqual(codec.decode(torch.zeros(codec.latent)).numel(), SMALL.numel, name)

    def test_the_autoencoder_has_the_size_of_the_papers_family(self):
        codec = make("autoencoder", SMALL, iid_prior(SMALL, 1), 0, CPU)
        size = sum(p.numel() for m in (codec.encoder, codec.decoder) for p in m.parameters())
        self.assertAlmostEqual(size, 493_000, delta=2_000)

    def test_random_rows_are_orthonormal_and_keep_an_eighth_of_the_norm(self):
        codec = RandomProjection(SMALL, 3, CPU)
        code = torch.randn(codec.latent)
        self.assertTrue(torch.allclose(codec.encode(codec.decode(code)), code, atol=1e-5))
        self.assertAlmostEqual(float(codec.decode(code).norm() / code.norm()), 1, places=4)
        updates = torch.randn(40, SMALL.numel)
        kept = [float(codec.encode(u).norm() / u.norm()) for u in updates]
        self.assertAlmostEqual(sum(kept) / 40, 1 / 8, delta=0.002)
        a, b = updates[:2]
        self.assertTrue(torch.allclose(codec.encode(a + b), codec.encode(a) + codec.encode(b), atol=1e-4))

    def test_no_linear_code_of_independent_entries_keeps_more_than_a_64th(self):
        # 63/64 = 0.984: what i.i.d. draws of the prior leave any linear auto-encoder to learn.
        prior = iid_prior(SMALL, 3e-4)
        codec = Pca(SMALL, prior, CPU)
        draw = lambda n, s: prior.draw(SMALL, n, torch.Generator().manual_seed(s))  # noqa: E731
        codec.fit(torch.stack([codec.image(u) for u in draw(64, 1)]))
        held = list(draw(32, 2))
        error = sum(float((codec.decode(codec.encode(u)) - u).square().sum() / u.square().sum()) for u in held) / 32
        self.assertAlmostEqual(error, 0.984, delta=0.01)

    def test_a_linear_code_of_what_has_structure_is_better(self):
        prior = iid_prior(SMALL, 1)
        codec = Pca(SMALL, prior, CPU)
        axis = torch.randn(64)
        codec.axis = axis / axis.norm()
        images = torch.stack([codec.picture(torch.randn(codec.latent)) for _ in range(8)])
        codec.axis = torch.ones(64) / 8
        codec.fit(images)
        back = codec.picture(codec.code(images[0]))
        self.assertLess(float((back - images[0]).square().sum() / images[0].square().sum()), 1e-3)

    def test_encoding_leaves_the_batch_norms_as_they_are(self):
        codec = AutoEncoder(SMALL, iid_prior(SMALL, 1), 0, CPU)
        before = {k: v.clone() for k, v in codec.weights().items()}
        codec.decode(codec.encode(100 * torch.randn(SMALL.numel)))
        self.assertTrue(all(torch.equal(v, before[k]) for k, v in codec.weights().items()))

    def test_the_code_of_the_priors_mean_is_zero(self):
        tensors = len(SMALL.spans)
        prior = Prior(torch.randn(2, tensors) * 1e-3, torch.rand(2, tensors) * 1e-3)
        for name in ("autoencoder", "pca"):
            codec = make(name, SMALL, prior, 0, CPU)
            code = codec.encode(SMALL.spread(prior.mean()))
            self.assertLess(float(code.abs().max()), 1e-5, name)


class MessageTest(Seeded):
    def test_no_message_is_longer_than_its_bound_whatever_the_encoder_does(self):
        codec = AutoEncoder(SMALL, iid_prior(SMALL, 1e-3), 0, CPU)
        with torch.no_grad():
            # An encoder that stretches: clipping the update would bound nothing.
            codec.encoder[-1].body[2].weight.mul_(1e4)
        uplink = Uplink(codec, Clip(0.37), Noise(0.0, 0), order="post_encode", by="central", decode="after_mean", expected=3)
        for size in (1e-6, 1e-3, 1.0, 1e6):
            z = uplink.message(size * torch.randn(SMALL.numel), 3)
            self.assertLessEqual(float(z.double().norm()), 0.37 * (1 + 1e-5))
        self.assertGreater(uplink.clip.clipped, 0)
        self.assertLessEqual(uplink.clip.largest, 0.37 * (1 + 1e-5))
        held = Clip(0.37)(torch.randn(SMALL.numel))
        self.assertGreater(float(codec.encode(held).norm()), 0.37)

    def test_an_update_is_bounded_before_the_noise_that_precedes_its_code(self):
        for by in ("local", "central"):
            uplink = Uplink(Identity(SMALL), Clip(0.37), Noise(0.0, 0), order="pre_encode", by=by, decode="after_mean", expected=1)
            sent = uplink.message(1e3 * torch.randn(SMALL.numel), 1)
            self.assertLessEqual(float(sent.double().norm()), 0.37 * (1 + 1e-5), by)

    def test_a_bound_that_nothing_reaches_and_no_noise_change_no_bit(self):
        update = torch.randn(SMALL.numel)
        self.assertTrue(torch.equal(Noise(0.0, 1)(Clip(1e9)(update)), update))

    def test_what_is_no_number_counts_as_nothing(self):
        clip = Clip(0.37)
        for value in (math.nan, math.inf, -math.inf):
            vector = torch.ones(8)
            vector[3] = value
            self.assertTrue(torch.equal(clip(vector), torch.zeros(8)))
        self.assertEqual((clip.clipped, clip.largest), (3, 0.0))

    def test_the_noise_on_the_sum_has_the_stated_deviation(self):
        # 16,384 draws: the relative standard error is 0.6 %.
        codec = Identity(SMALL)
        for order, by, releases in (("post_encode", "central", 1), ("pre_encode", "central", 1), ("pre_encode", "local", 4)):
            noise = Noise(2.5 * 0.4, 7)
            uplink = Uplink(codec, Clip(0.4), noise, order=order, by=by, decode="after_mean", expected=4)
            for _ in range(4):
                uplink.receive(uplink.message(torch.zeros(SMALL.numel), 4))
            total = uplink.step(CPU) * 4
            wanted = 2.5 * 0.4 * (2 if by == "local" else 1)
            self.assertAlmostEqual(float(total.std()) / wanted, 1, delta=0.02, msg=f"{order} {by}")
            self.assertEqual(noise.releases, releases)

    def test_an_empty_cohort_is_noised_too(self):
        noise = Noise(1.0, 1)
        uplink = Uplink(Identity(SMALL), Clip(1), noise, order="post_encode", by="central", decode="after_mean", expected=5)
        self.assertGreater(float(uplink.step(CPU).norm()), 0)
        self.assertEqual(noise.releases, 1)

    def test_the_cosine_follows_the_signal_to_noise_rule(self):
        # K aligned updates of norm C, noise sigma C on the sum: S = K / (sigma sqrt n).
        clients, sigma, n = 64, 0.8, SMALL.numel
        s = clients / (sigma * math.sqrt(n))
        update = torch.randn(n)
        update /= update.norm()

        def seen(codec, order: str, bound: float) -> float:
            noise = Noise(sigma * bound, 5)
            found = []
            for _ in range(6):
                uplink = Uplink(codec, Clip(bound), noise, order=order, by="central", decode="after_mean", expected=clients)
                for _ in range(clients):
                    uplink.receive(uplink.message(update, clients))
                found.append(cosine(uplink.step(CPU), update))
            return sum(found) / len(found)

        rule = lambda x: x / math.sqrt(1 + x * x)  # noqa: E731
        projection = RandomProjection(SMALL, 3, CPU)
        rho = float(projection.encode(update).norm())
        self.assertAlmostEqual(seen(Identity(SMALL), "post_encode", 1.0), rule(s), delta=0.02)
        self.assertAlmostEqual(seen(projection, "post_encode", rho), rho * rule(8 * s), delta=0.02)
        self.assertAlmostEqual(seen(projection, "pre_encode", 1.0), rho * rule(8 * rho * s), delta=0.02)
        # A random projection never gains: rho is 1/8.
        self.assertLessEqual(seen(projection, "post_encode", rho), seen(Identity(SMALL), "post_encode", 1.0))

    def test_decoding_each_message_differs_from_decoding_the_mean_where_the_code_is_not_linear(self):
        class Bent(Identity):
            def decode(self, latent: torch.Tensor) -> torch.Tensor:
                return torch.tanh(latent)

        codec = Bent(SMALL)
        updates = [torch.randn(SMALL.numel) for _ in range(3)]
        steps = {}
        for decode in ("after_mean", "per_client"):
            uplink = Uplink(codec, Clip(None), Noise(0.0, 0), order="post_encode", by="central", decode=decode, expected=3)
            for u in updates:
                uplink.receive(uplink.message(u, 3))
            steps[decode] = uplink.step(CPU)
        want = sum(codec.decode(codec.encode(u)) for u in updates) / 3
        self.assertTrue(torch.allclose(steps["per_client"], want, rtol=1e-5, atol=1e-9))
        self.assertGreater(float((steps["per_client"] - steps["after_mean"]).norm() / want.norm()), 1e-3)


class CohortTest(unittest.TestCase):
    def test_a_fixed_cohort_has_everybody_once_at_most(self):
        for number in range(50):
            drawn = cohort("fixed", 20, 0.4, 1, number)
            self.assertEqual((len(drawn), len(set(drawn))), (8, 8))
        self.assertGreater(len({tuple(cohort("fixed", 20, 0.4, 1, n)) for n in range(50)}), 45)

    def test_poisson_draws_are_independent_coins(self):
        sizes = [len(cohort("poisson", 400, 0.1, 1, n)) for n in range(400)]
        mean = sum(sizes) / 400
        # 40 clients, variance 36: cohorts of one size would have none.
        self.assertAlmostEqual(mean, 40, delta=1.5)
        self.assertAlmostEqual(sum((s - mean) ** 2 for s in sizes) / 400, 36, delta=12)
        self.assertEqual(cohort("all", 5, 0.1, 1, 0), [0, 1, 2, 3, 4])


class OrderTest(unittest.TestCase):
    ASKED = {"noiseMultiplier": 1.0, "noise": "post_encode", "noiseBy": "central", "decode": "after_mean", "sampling": "all"}

    def refused(self, linear: bool, **change) -> str:
        with self.assertRaises(Failure) as caught:
            check_orders({**self.ASKED, **change}, linear)
        self.assertEqual(caught.exception.code, "config")
        return caught.exception.message

    def test_what_would_account_one_noise_and_add_another_is_refused(self):
        self.assertIn("not linear", self.refused(False, noise="pre_encode"))
        self.assertIn("per_client", self.refused(True, decode="per_client"))
        self.assertIn("Poisson", self.refused(True, noise="pre_encode", sampling="poisson"))

    def test_what_is_private_is_not(self):
        check_orders(self.ASKED, False)
        check_orders({**self.ASKED, "noise": "pre_encode"}, True)
        check_orders({**self.ASKED, "noise": "pre_encode", "noiseBy": "local", "decode": "per_client"}, False)
        check_orders({**self.ASKED, "noiseMultiplier": 0, "decode": "per_client"}, False)


class PriorTest(Seeded):
    def test_statistics_are_means_and_deviations_of_each_tensor_and_epoch(self):
        increments = [torch.randn(SMALL.numel), 3 * torch.randn(SMALL.numel) + 1]
        prior = prior_of(statistics_of(SMALL, increments), SMALL)
        _, start, end = SMALL.spans[5]
        for epoch, flat in enumerate(increments):
            self.assertAlmostEqual(float(prior.means[epoch, 5]), float(flat[start:end].mean()), places=5)
            self.assertAlmostEqual(float(prior.stds[epoch, 5]), float(flat[start:end].std(correction=0)), places=5)
        drawn = prior.draw(SMALL, 200, torch.Generator().manual_seed(1))
        self.assertAlmostEqual(float(drawn.mean()), 0.5, delta=0.05)

    def test_the_release_is_one_noised_sum_of_clipped_vectors(self):
        size = 2 * len(SMALL.spans)
        told = [torch.full((size,), 0.01) for _ in range(9)] + [torch.full((size,), 1e6)]
        clip, noise = Clip(0.5), Noise(0.0, 1)
        mean = released(told, clip, noise)
        self.assertLessEqual(float(mean.norm()), 0.5 * (1 + 1e-5))
        self.assertEqual((clip.vectors, clip.clipped, noise.releases), (10, 1, 1))
        noisy = torch.cat([released(told, Clip(0.5), Noise(3 * 0.5, seed)) * 10 for seed in range(200)])
        quiet = torch.cat([mean * 10 for _ in range(200)])
        self.assertAlmostEqual(float((noisy - quiet).std()) / 1.5, 1, delta=0.02)

    def test_stage_1_reads_other_texts_than_stage_2_and_none_where_the_prior_is_public(self):
        client = Client("c", [[i] for i in range(10)])
        sim = SimpleNamespace(job={"statistics": {"share": 0.3}}, reads_statistics=True)
        self.assertEqual([first_part(sim, client), second_part(sim, client)], [client.sequences[:3], client.sequences[3:]])
        one = Client("one", [[1]])
        self.assertEqual([first_part(sim, one), second_part(sim, one)], [[[1]], [[1]]])
        sim.reads_statistics = False
        self.assertEqual(second_part(sim, client), client.sequences)

    def test_a_codec_is_trained_on_draws_alone_unless_the_control_is_asked_for(self):
        def axis(control: str, updates: list[torch.Tensor]) -> torch.Tensor:
            kept = SimpleNamespace(load=lambda _: None, save=lambda *_: None)
            meters = SimpleNamespace(server=lambda work: work())
            sim = SimpleNamespace(job={"autoencoder": {"trainOn": control}}, kept=kept, meters=meters, seed=1)
            codec = Pca(SMALL, iid_prior(SMALL, 1), CPU)
            trained(sim, codec, iid_prior(SMALL, 1), updates)
            return codec.axis

        seen, others = ([torch.randn(SMALL.numel) for _ in range(3)] for _ in range(2))
        self.assertTrue(torch.equal(axis("prior", seen), axis("prior", others)))
        self.assertFalse(torch.equal(axis("public-updates", seen), axis("public-updates", others)))

    def test_a_released_deviation_is_never_negative(self):
        prior = prior_of(torch.full((2 * len(SMALL.spans),), -1.0), SMALL)
        self.assertTrue(bool((prior.stds == FLOOR).all()))
        self.assertTrue(bool((prior.scale() > 0).all()))


class GateTest(Seeded):
    def test_the_identity_is_informative_and_the_priors_mean_is_not(self):
        updates = [torch.randn(SMALL.numel) for _ in range(4)]
        told = reconstruction(Identity(SMALL), updates)
        self.assertEqual((told["label"], round(told["cosine"], 6)), ("informative codec", 1.0))
        self.assertAlmostEqual(told["shuffledCosine"], 0, delta=0.03)
        same = [torch.ones(SMALL.numel) + 0.1 * torch.randn(SMALL.numel) for _ in range(4)]
        constant = make("prior-mean", SMALL, Prior(torch.ones(1, 32), torch.ones(1, 32)), 0, CPU)
        told = reconstruction(constant, same)
        # Near to every update alike: a benchmark would be pleased.
        self.assertGreater(told["cosine"], 0.9)
        self.assertEqual(told["label"], "prior-only")
        # An eighth of each update is its own, and too little of it.
        told = reconstruction(make("random-projection", SMALL, None, 0, CPU), updates)
        self.assertGreater(told["cosine"] - told["shuffledCosine"], 0.05)
        self.assertEqual(told["label"], "prior-only")


class RunTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="dr-encoder-"))
        f = cls.folder
        cls.base = json.loads(os.environ["PRETEXT_TEST_JOB"]) | {
            "clients": rows(f / "clients.jsonl", 8, 4, 1, 3, "c"),
            "validation": rows(f / "validation.jsonl", 4, 4, 2, 3, "v"),
            "publicTexts": rows(f / "public.jsonl", 8, 4, 3, 0, "p"),
            "start": tiny(f),
            "device": "cpu",
            "sequenceTokens": 32,
            "sampling": "all",
            "rate": 1,
            "rounds": 3,
            "checkpointRounds": 1,
            "clip": 0.7,
        }
        cls.base["local"] |= {"learningRate": 5e-3, "epochs": 2}
        cls.base["autoencoder"] |= {"steps": 25, "batch": 4}
        cls.base["lora"]["dropout"] = 0

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def job(self, name: str, **change) -> dict:
        job = copy.deepcopy(self.base)
        for key, value in change.items():
            job[key] = {**job[key], **value} if isinstance(value, dict) else value
        return {**job, "out": str(self.folder / name)}

    def run_job(self, name: str, events: list | None = None, **change) -> dict:
        told = [] if events is None else events
        return dr_encoder.run(self.job(name, **change), Channel(lambda line: told.append(json.loads(line))))

    def test_with_the_identity_it_is_dp_fedavg_to_the_bit(self):
        result = self.run_job("identity", codec="identity", noiseMultiplier=0.3, sampling="poisson", rate=0.5, noise="post_encode")
        job = self.job("plain", codec="identity")
        fed = Federation(job, CPU)
        asked = self.job("identity", codec="identity", noiseMultiplier=0.3, sampling="poisson", rate=0.5, noise="post_encode")
        generator = torch.Generator().manual_seed(noise_seeds(asked)("rounds"))
        clients = dr_encoder.read_clients(job["clients"], fed.tokenizer, 32, 8, job["seed"])
        for round_ in range(3):
            total = torch.zeros_like(fed.state)
            for i in cohort("poisson", len(clients), 0.5, job["seed"], round_):
                fed_state = fed.state.clone()
                start = 0
                with torch.no_grad():
                    for p in fed.trained:
                        p.copy_(fed_state[start : start + p.numel()].view_as(p))
                        start += p.numel()
                train_locally(fed.model, clients[i].sequences, fed.plan, CPU, [job["seed"], 6, round_, i])
                update = torch.cat([p.detach().reshape(-1) for p in fed.trained]) - fed_state
                norm = float(update.double().norm())
                total = total + (update * (0.7 / norm) if norm > 0.7 else update)
            noise = torch.randn(total.shape, generator=generator)
            fed.state = fed.state + (total + 0.3 * 0.7 * noise) / 4
        told = fed.write(self.folder / "plain-model")
        self.assertTrue(Path(told).is_dir())
        a, b = (Path(p) / "model.safetensors" for p in (result["model"], told))
        self.assertEqual(a.read_bytes(), b.read_bytes())
        (entry,) = result["mechanisms"]
        self.assertAlmostEqual(entry["sigma"], 0.3 * 0.7, places=7)
        self.assertEqual((entry["clip"], entry["releases"], entry["sampling"], entry["cohort"]), (0.7, 3, "poisson", 4))
        self.assertEqual(sum(entry["drawn"]), result["meters"]["participations"])
        self.assertLessEqual(result["measures"]["largestMessage"], 0.7 * (1 + 1e-5))

    def test_both_stages_are_charged_and_a_stopped_run_ends_alike(self):
        change = {"codec": "autoencoder", "noiseMultiplier": 0.5, "statistics": {"noiseMultiplier": 2.0}}
        events: list[dict] = []
        whole = self.run_job("whole", events, **change)
        first, second = whole["mechanisms"]
        self.assertEqual((first["releases"], first["cohort"], first["sampling"], first["maxParticipations"]), (1, 8, "all", 1))
        self.assertAlmostEqual(first["sigma"] / first["clip"], 2.0, places=6)
        self.assertEqual((second["releases"], second["maxParticipations"], second["contributions"]), (3, 3, "signed"))
        self.assertAlmostEqual(second["sigma"] / second["clip"], 0.5, places=6)
        self.assertLessEqual(whole["measures"]["largestMessage"], second["clip"] * (1 + 1e-5))
        self.assertEqual(whole["measures"]["label"], "prior-only")
        self.assertTrue(any(e["event"] == "warning" and e["message"].startswith("prior-only:") for e in events))
        measures = whole["measures"]
        self.assertEqual(measures["latentShare"], measures["latentNumbers"] / measures["numbers"])

        class Stopping(Channel):
            def progress(self, stage, *rest, **more):
                stop._Wanted.stop = stage == "rounds"

        try:
            with self.assertRaises(Failure) as caught:
                dr_encoder.run(self.job("stopped", **change), Stopping(lambda _line: None))
            self.assertEqual(caught.exception.code, "interrupted")
        finally:
            stop._Wanted.stop = False
        again = self.run_job("stopped", resume=True, **change)
        a, b = (Path(r["model"]) / "model.safetensors" for r in (whole, again))
        self.assertEqual(a.read_bytes(), b.read_bytes())
        self.assertEqual(again["mechanisms"], whole["mechanisms"])
        self.assertEqual(again["meters"]["participations"], whole["meters"]["participations"])
        with self.assertRaises(Failure) as caught:
            self.run_job("stopped", **{**change, "resume": True, "rounds": 4})
        self.assertIn("different: rounds", caught.exception.message)
        # Neither does it go on over other texts, and a kill between the two renames of a save costs nothing.
        others = rows(self.folder / "others.jsonl", 8, 4, 9, 3, "c")
        with self.assertRaises(Failure) as caught:
            self.run_job("stopped", **{**change, "resume": True, "clients": others})
        self.assertIn("different: the texts of clients", caught.exception.message)
        kept = self.folder / "stopped" / "checkpoints"
        (kept / "result").rename(kept / ".result.old")
        self.assertEqual(self.run_job("stopped", resume=True, **change), again)

    def test_statistics_without_noise_are_refused_beside_noised_rounds(self):
        for codec in ("autoencoder", "pca", "prior-mean"):
            with self.assertRaises(Failure) as caught:
                self.run_job("refused", codec=codec, noiseMultiplier=1.0)
            self.assertEqual(
                caught.exception.message, "statistics of clients' updates without noise would undo the noise of every later round"
            )
        with self.assertRaises(Failure) as caught:
            self.run_job("refused", codec="identity", noiseMultiplier=1.0, clip="none")
        self.assertEqual(caught.exception.message, "expected a clip where there is noise, got none")
        with self.assertRaises(Failure) as caught:
            self.run_job("refused", codec="identity", clip=None, publicTexts=None)
        self.assertIn("expected public texts", caught.exception.message)

    def test_noise_is_shared_by_no_two_settings(self):
        quiet = {"codec": "identity", "rounds": 1, "noise": "post_encode"}
        states = {}
        for name, more in (("a", {"noiseMultiplier": 1.0}), ("b", {"noiseMultiplier": 2.0}), ("none", {"noiseMultiplier": 0.0})):
            model = self.run_job(f"noise-{name}", **quiet, **more)["model"]
            states[name] = torch.cat([v.flatten().double() for v in load_file(Path(model) / "model.safetensors").values()])
        # Equal draws would make the second noise twice the first.
        a, b = states["a"] - states["none"], states["b"] - states["none"]
        self.assertLess(abs(cosine(a, b)), 0.5)

    def test_a_client_with_nothing_to_predict_is_one_of_those_who_are_counted(self):
        path = self.folder / "some-empty.jsonl"
        blank = json.dumps({"client": "blank", "text": " "})
        path.write_text(blank + "\n" + Path(self.base["clients"]).read_text("utf-8"), "utf-8")
        result = self.run_job("some-empty", codec="autoencoder", noiseMultiplier=0.5, statistics={"noiseMultiplier": 2.0}, clients=str(path))
        self.assertEqual([entry["clients"] for entry in result["mechanisms"]], [9, 9])
        self.assertEqual(result["meters"]["participations"], 9 + 3 * 9)

    def test_only_what_informs_helps(self):
        # Without noise: the identity learns, the auto-encoder does what doing nothing does, at 1/64 of the bytes.
        runs = {codec: self.run_job(codec, codec=codec, clip=None, statistics={"source": "public"}) for codec in ("identity", "autoencoder", "zero")}
        loss = {codec: run["validation"]["loss"] for codec, run in runs.items()}
        self.assertLess(loss["identity"], loss["zero"] - 0.1)
        self.assertLess(abs(loss["autoencoder"] - loss["zero"]), 0.1 * (loss["zero"] - loss["identity"]))
        self.assertGreater(min(r["cosine"] for r in runs["identity"]["measures"]["rounds"]), 0.99)
        self.assertLess(max(abs(r["cosine"]) for r in runs["autoencoder"]["measures"]["rounds"]), 0.1)
        # Public statistics cost nothing: one mechanism.
        self.assertEqual([len(r["mechanisms"]) for r in runs.values()], [1, 1, 0])
        numbers = SMALL.numel
        up = {codec: run["meters"]["bytesUpPerClientRound"] for codec, run in runs.items()}
        self.assertTrue(4 * numbers < up["identity"] < 4 * numbers + 200)
        self.assertTrue(4 * numbers / 64 < up["autoencoder"] < 4 * numbers / 64 + 200)
        self.assertEqual(up["zero"], 0)
        self.assertEqual(runs["identity"]["measures"]["identified"], 1.0)
        self.assertIsNone(runs["zero"]["measures"]["identified"])
        meters = runs["identity"]["meters"]
        self.assertEqual((meters["rounds"], meters["participations"]), (3, 24))
        self.assertGreater(meters["clientFlopsPerRound"], 1e6)
        self.assertGreater(meters["clientCpuSecondsPerRound"], 0)

    def test_local_noise_is_a_clients_own(self):
        result = self.run_job(
            "local", codec="random-projection", noise="pre_encode", noiseBy="local", decode="per_client", noiseMultiplier=2.0
        )
        (entry,) = result["mechanisms"]
        self.assertEqual((entry["cohort"], entry["sampling"], entry["releases"], entry["local"]), (1, "all", 3, True))
        self.assertAlmostEqual(entry["sigma"] / entry["clip"], 2.0, places=6)
        self.assertLess(result["measures"]["identifiedNoised"], result["measures"]["identified"])

    def test_an_unreadable_row_is_named_without_its_text(self):
        path = self.folder / "torn.jsonl"
        path.write_text('{"client": 1, "text": "fine"}\n{"client": 1, "text": zebra\n', "utf-8")
        with self.assertRaises(Failure) as caught:
            rows_of(str(path))
        self.assertEqual(caught.exception.message, f'{path}:2: expected a JSON object with a "text"')


if __name__ == "__main__":
    unittest.main()
