# Promises of the trainer's parts, on the CPU with tiny models: run by test/trainer/python.test.ts.
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from accelerate.commands.launch import launch_command_parser
from gguf import GGUFReader
from tokenizers import Tokenizer, models, normalizers, processors
from transformers import AutoModelForCausalLM, AutoTokenizer, BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from pretext_trainer import __main__ as program
from pretext_trainer import check, gguf_file, gguf_tokenizer, start
from pretext_trainer.channel import Channel
from pretext_trainer.checkpoints import Checkpoints, write_aside
from pretext_trainer.failure import Failure
from pretext_trainer.learn import learning_rate
from pretext_trainer.step import Stepper, loss_sum, padded, predicted_tokens
from pretext_trainer.texts import hold_out, read_texts
from pretext_trainer.tokens import encode, learn_vocabulary

WORDS = "parser image mail sound network kernel editor library window script module archive server client".split()


def sentences(count: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [f"The {' '.join(random.choice(WORDS, 8))}." for _ in range(count)]


class Collected:
    def __init__(self):
        self.events = []
        self.channel = Channel(lambda line: self.events.append(json.loads(line)))

    def messages(self, kind: str) -> list[str]:
        return [e["message"] for e in self.events if e["event"] == kind]


def tiny(folder: Path, seed: int = 1) -> start.Start:
    texts = folder / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": t}) + "\n" for t in sentences(80)), "utf-8")
    wanted = {
        "layers": 2,
        "width": 32,
        "heads": 2,
        "feedForward": 64,
        "vocabulary": 400,
        "vocabularyTexts": str(texts),
        "tokenizer": None,
    }
    return start.scratch(wanted, 32, seed, None, Collected().channel)


class WithFolder(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="trainer-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)


def stepper(model, forward, micro, warnings):
    return Stepper(model, forward, torch.device("cpu"), micro, lambda flag: flag, lambda _: None, warnings.append)


class StepTest(WithFolder):
    def setUp(self):
        super().setUp()
        self.start = tiny(self.folder)
        self.batch = encode(self.start.tokenizer, sentences(16, 5), 32)
        self.tokens = predicted_tokens(self.batch)

    def _forward(self, ids):
        return self.start.model(input_ids=ids, use_cache=False).logits

    def _gradients(self, forward, micro, warnings):
        model = self.start.model
        s = stepper(model, forward, micro, warnings)
        loss = s.gradients(self.batch, self.tokens)
        return float(loss), {n: p.grad.clone() for n, p in model.named_parameters()}, s.micro

    def test_the_batch_is_the_same_in_micro_batches_of_any_size(self):
        loss, whole, _ = self._gradients(self._forward, 16, [])
        for micro in (1, 3, 8):
            other, parts, _ = self._gradients(self._forward, micro, [])
            self.assertAlmostEqual(loss, other, places=5)
            for name, gradient in whole.items():
                torch.testing.assert_close(parts[name], gradient, atol=1e-5, rtol=1e-3)

    def test_memory_that_runs_out_halves_the_micro_batch_says_so_and_changes_no_gradient(self):
        loss, whole, _ = self._gradients(self._forward, 16, [])

        def small(ids):
            if ids.shape[0] > 4:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return self._forward(ids)

        warnings: list[str] = []
        other, parts, micro = self._gradients(small, 16, warnings)
        self.assertEqual(micro, 4)
        self.assertEqual(
            warnings,
            [
                "memory ran out with 16 sequences at once: going on with 8; the batch of one step stays the same",
                "memory ran out with 8 sequences at once: going on with 4; the batch of one step stays the same",
            ],
        )
        self.assertAlmostEqual(loss, other, places=5)
        for name, gradient in whole.items():
            torch.testing.assert_close(parts[name], gradient, atol=1e-5, rtol=1e-3)

    def test_memory_that_runs_out_with_one_sequence_is_told(self):
        def never(ids):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

        with self.assertRaises(Failure) as raised:
            self._gradients(never, 2, [])
        self.assertEqual(raised.exception.message, "memory ran out with one sequence at a time")
        self.assertIn("--sequence-tokens", raised.exception.hint)

    def test_another_error_is_not_taken_for_a_full_memory(self):
        def broken(ids):
            raise RuntimeError("shapes cannot be multiplied")

        with self.assertRaisesRegex(RuntimeError, "shapes"):
            self._gradients(broken, 4, [])

    def test_parts_of_two_processes_add_up_to_the_whole(self):
        loss, whole, _ = self._gradients(self._forward, 16, [])
        model, total, sums = self.start.model, 0.0, {}
        for rank in (0, 1):
            total += float(stepper(model, self._forward, 16, []).gradients(self.batch[rank::2], self.tokens))
            for name, p in model.named_parameters():
                sums[name] = sums.get(name, 0) + p.grad.clone()
        self.assertAlmostEqual(loss, total, places=5)
        for name, gradient in whole.items():
            torch.testing.assert_close(sums[name], gradient, atol=1e-5, rtol=1e-3)

    def test_a_process_without_a_sequence_has_zero_gradients(self):
        stepper(self.start.model, self._forward, 4, []).gradients([], 10)
        self.assertTrue(all(bool((p.grad == 0).all()) for p in self.start.model.parameters()))

    def test_padding_does_not_count(self):
        device = torch.device("cpu")
        alone = sum(float(loss_sum(self._forward, [s], device).detach()) for s in self.batch)
        together = float(loss_sum(self._forward, self.batch, device).detach())
        self.assertAlmostEqual(alone, together, places=2)
        _, labels = padded(self.batch, device)
        self.assertEqual(int((labels != -100).sum()), predicted_tokens(self.batch))


class TokensTest(WithFolder):
    def test_a_vocabulary_gives_back_every_text_and_repeats_itself(self):
        tokenizer = learn_vocabulary(sentences(50), 400)
        text = "Zwölf große Boxkämpfer jagen \U0001f600 <s> quickly\n\tover it's 12345."
        ids = tokenizer(text)["input_ids"]
        self.assertEqual(ids[0], tokenizer.bos_token_id)
        self.assertEqual(tokenizer.decode(tokenizer("plain ünïcode \U0001f600")["input_ids"][1:]), "plain ünïcode \U0001f600")
        again = learn_vocabulary(sentences(50), 400)
        self.assertEqual(tokenizer.get_vocab(), again.get_vocab())

    def test_long_texts_are_cut_or_split_and_the_end_is_a_token(self):
        tokenizer = learn_vocabulary(sentences(50), 300)
        long = " ".join(sentences(20))
        whole = [*tokenizer(long)["input_ids"], tokenizer.eos_token_id]
        self.assertEqual([list(s) for s in encode(tokenizer, [long], 16, "cut")], [whole[:16]])
        pieces = encode(tokenizer, [long], 16, "split")
        kept = [t for piece in pieces for t in piece]
        self.assertEqual(kept, whole[: len(kept)])
        self.assertLessEqual(len(whole) - len(kept), 1)
        short = encode(tokenizer, ["mail"], 16)[0]
        self.assertEqual(short[-1], tokenizer.eos_token_id)
        self.assertEqual(encode(tokenizer, [], 16), [])


class TextsTest(WithFolder):
    def test_texts_are_read_once_each_and_bad_rows_are_placed_not_quoted(self):
        path = self.folder / "t.jsonl"
        path.write_text('{"text": "a b"}\n\n{"text": "a b"}\n{"text": "c"}\n', "utf-8")
        self.assertEqual(read_texts(str(path), "x"), ["a b", "c"])
        path.write_text('{"text": "a"}\n{"secret-zebra\n', "utf-8")
        with self.assertRaises(Failure) as raised:
            read_texts(str(path), "x")
        self.assertEqual(raised.exception.message, f'{path}:2: expected a JSON object with a "text"')
        path.write_text("", "utf-8")
        with self.assertRaises(Failure) as raised:
            read_texts(str(path), "training")
        self.assertEqual(raised.exception.message, "training: expected at least one text, got none")

    def test_held_out_texts_are_disjoint_and_follow_from_the_seed(self):
        texts = sorted(set(sentences(200)))
        train, held = hold_out(texts, 0.1, 3, 0)
        self.assertEqual(len(held), round(0.1 * len(texts)))
        self.assertEqual(sorted(train + held), texts)
        self.assertEqual(hold_out(texts, 0.1, 3, 0), (train, held))
        self.assertNotEqual(hold_out(texts, 0.1, 4, 0)[1], held)
        self.assertEqual(hold_out(texts, 0, 3, 0), (texts, []))
        self.assertEqual(hold_out(["only"], 0.5, 3, 0), (["only"], []))
        self.assertEqual(len(hold_out(["a", "b"], 0.01, 3, 0)[1]), 1)


class CheckpointTest(WithFolder):
    def test_a_damaged_checkpoint_gives_way_to_the_one_before(self):
        model = tiny(self.folder).model
        checkpoints = Checkpoints(self.folder / "checkpoints")
        optimiser = torch.optim.AdamW(model.parameters())
        for total in (10, 20, 30):
            checkpoints.save(model, optimiser, {"total": total})
        names = sorted(p.name for p in checkpoints.folder.iterdir())
        self.assertEqual(names, ["step-00000020", "step-00000030"])
        (checkpoints.folder / "step-00000030" / "weights.safetensors").write_bytes(b"torn")
        collected = Collected()
        path, state = checkpoints.latest(collected.channel)
        self.assertEqual((path.name, state), ("step-00000020", {"total": 20}))
        self.assertEqual(len(collected.messages("warning")), 1)
        self.assertIn("is damaged; the one before it is used", collected.messages("warning")[0])

    def test_a_checkpoint_of_another_architecture_is_refused(self):
        checkpoints = Checkpoints(self.folder / "checkpoints")
        model = tiny(self.folder).model
        path = checkpoints.save(model, None, {"total": 1})
        with self.assertRaises(Failure) as raised:
            checkpoints.restore(path, torch.nn.Linear(3, 3), None)
        self.assertIn("belongs to a model of another architecture or vocabulary", raised.exception.message)

    def test_a_folder_that_could_not_be_filled_leaves_the_old_one(self):
        final = self.folder / "x"
        write_aside(final, lambda aside: (aside / "a").write_text("old"))

        def torn(aside: Path):
            (aside / "a").write_text("new")
            raise OSError(28, "No space left on device")

        with self.assertRaises(OSError):
            write_aside(final, torn)
        self.assertEqual((final / "a").read_text(), "old")


class StartTest(WithFolder):
    def _save(self, name: str, model, tokenizer) -> str:
        path = self.folder / name
        model.save_pretrained(path)
        tokenizer.save_pretrained(path)
        return str(path)

    def _load(self, model: str, source: str = "folder"):
        return start.checkpoint({"from": source, "model": model, "revision": None}, torch.float32)

    def test_a_folder_is_loaded_as_it_was(self):
        made = tiny(self.folder)
        again = self._load(self._save("m", made.model, made.tokenizer))
        self.assertFalse(again.dequantised)
        for name, weight in made.model.state_dict().items():
            torch.testing.assert_close(again.model.state_dict()[name], weight)

    def test_a_tokenizer_of_another_model_is_refused(self):
        made = tiny(self.folder)
        made.tokenizer.add_tokens([f"<other-{i}>" for i in range(30)])
        path = self._save("m", made.model, made.tokenizer)
        rows = made.model.get_input_embeddings().weight.shape[0]
        with self.assertRaises(Failure) as raised:
            self._load(path)
        self.assertRegex(
            raised.exception.message,
            rf"m: its tokenizer has \d+ entries and the model only {rows}: they do not belong together",
        )

    def test_a_model_that_does_not_write_is_refused(self):
        made = tiny(self.folder)
        config = BertConfig(vocab_size=400, hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16)
        path = self._save("bert", BertForMaskedLM(config), made.tokenizer)
        with self.assertRaises(Failure) as raised:
            self._load(path)
        self.assertIn(
            "bert: expected a language model that writes from left to right, got BertForMaskedLM", raised.exception.message
        )

    def test_weights_of_another_architecture_are_refused(self):
        made = tiny(self.folder)
        path = Path(self._save("m", made.model, made.tokenizer))
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
        with self.assertRaises(Failure) as raised:
            self._load(str(path))
        self.assertIn("m: its weights are not those of its config.json (", raised.exception.message)

    def test_an_architecture_that_nobody_knows_is_told_of_its_own_file(self):
        made = tiny(self.folder)
        path = Path(self._save("m", made.model, made.tokenizer))
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps({**config, "model_type": "yesterdays", "architectures": ["YesterdaysLM"]}))
        with self.assertRaises(Failure) as raised:
            self._load(str(path))
        self.assertRegex(raised.exception.message, rf"^{path}: Transformers could not load it \(ValueError: .*yesterdays")
        self.assertIn("an architecture that Transformers does not know", raised.exception.hint)
        gguf_file.write(made.model, made.tokenizer, path / "m.gguf", "tiny")
        file = path / "m.gguf"
        file.write_bytes(file.read_bytes()[:2000])
        with self.assertRaises(Failure) as raised:
            self._load(str(file), "gguf")
        self.assertEqual(raised.exception.code, "config")
        self.assertTrue(raised.exception.message.startswith(f"{file}: Transformers could not load it ("), raised.exception.message)

    def test_why_a_model_of_the_hub_is_not_there_is_told(self):
        script = (
            "import torch\nfrom pretext_trainer import start\nfrom pretext_trainer.failure import Failure\n"
            "try:\n    start.checkpoint({'from': 'hub', 'model': 'owner/name', 'revision': None}, torch.float32)\n"
            "except Failure as failure:\n    print(failure.code, failure.message, failure.hint, sep='|')"
        )
        asked: list[str] = []

        class Hub(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                asked.append(self.path)
                self.send_response(int(self.path.split("/")[1]))
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_HEAD

            def log_message(self, *_):
                pass

        def told(endpoint: str, **more: str) -> str:
            env = {k: v for k, v in os.environ.items() if k not in ("PRETEXT_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")}
            env.update({"HF_ENDPOINT": endpoint, "HF_HOME": str(self.folder), **more})
            said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, check=True).stdout
            code, message, hint = said.strip().split("|")
            self.assertEqual(code, "dependency")
            self.assertIn("name a local folder or GGUF file", hint)
            return message

        self.assertRegex(
            told("http://127.0.0.1:9"), r"^could not reach the Hugging Face Hub for owner/name \(ConnectionRefusedError\)$"
        )
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            hub = f"http://127.0.0.1:{server.server_port}"
            # As src/finetune/run-job.ts sets them.
            offline = {"PRETEXT_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
            self.assertEqual(
                told(f"{hub}/404", **offline),
                "owner/name is not in the cache of the Hugging Face Hub, and PRETEXT_OFFLINE forbids to fetch it",
            )
            self.assertEqual(asked, [])
            self.assertEqual(told(f"{hub}/404"), "the Hugging Face Hub has no model owner/name")
            self.assertEqual(told(f"{hub}/403"), "could not load owner/name from the Hugging Face Hub (HTTP 403)")
            server.shutdown()

    def test_what_is_not_there_is_told(self):
        with self.assertRaises(Failure) as raised:
            self._load(str(self.folder / "none"))
        self.assertIn("expected a model folder with config.json at", raised.exception.message)
        with self.assertRaises(Failure) as raised:
            self._load(str(self.folder / "none.gguf"), "gguf")
        self.assertIn("expected a GGUF file at", raised.exception.message)


class GgufTest(WithFolder):
    def test_a_gguf_that_transformers_reads_back_is_the_same_model(self):
        made = tiny(self.folder)
        path = self.folder / "model.gguf"
        gguf_file.write(made.model, made.tokenizer, path, "tiny")
        again = start.checkpoint({"from": "gguf", "model": str(path), "revision": None}, torch.float32)
        self.assertTrue(again.dequantised)
        text = "The mail server's 123 windows."
        ids = made.tokenizer(text, return_tensors="pt")["input_ids"]
        self.assertEqual(again.tokenizer(text)["input_ids"], ids[0].tolist())
        self.assertEqual(len(again.tokenizer), len(made.tokenizer))
        # Weights went through 16 bits.
        torch.testing.assert_close(again.model(ids).logits, made.model(ids).logits, atol=5e-3, rtol=5e-3)

    def test_what_cannot_be_written_says_why(self):
        made = tiny(self.folder)
        made.model.config.model_type = "mamba"
        self.assertEqual(
            gguf_file.why_not(made.model, made.tokenizer), "its architecture is mamba, and only Llama, Qwen 2, Qwen 3 and Gemma 3 are written"
        )


class GgufTokenizerTest(WithFolder):
    """A tokenizer that is not the file's own is refused before anything is trained."""

    def told(self, made: start.Start, **change) -> dict:
        path = self.folder / "model.gguf"
        gguf_file.write(made.model, made.tokenizer, path, "tiny")
        fields = {k: f.contents() for k, f in GGUFReader(path).fields.items() if k.startswith("tokenizer.ggml.")}
        return {**fields, **{f"tokenizer.ggml.{k}": v for k, v in change.items()}}

    def test_byte_level(self):
        made = tiny(self.folder)
        told = self.told(made)
        merges = told["tokenizer.ggml.merges"]
        why = lambda **change: gguf_tokenizer.why_not(self.told(made, **change), made.tokenizer)  # noqa: E731
        self.assertIsNone(why())
        self.assertEqual(why(merges=merges[::-1]), "its merges are others or in another order")
        self.assertEqual(why(tokens=told["tokenizer.ggml.tokens"][::-1]), "its entries have other numbers")
        self.assertEqual(why(pre="poro-chat"), 'the splitting "poro-chat" is not known here')
        self.assertEqual(why(add_bos_token=False), "a begin token is put before a text")
        self.assertEqual(why(model="t5"), "one of kind t5, which cannot be checked")

    def test_sentencepiece(self):
        words = "\n".join(gguf_tokenizer.SAMPLES).replace(" ", "▁")
        pieces = sorted(set(words)) + ["th", "e▁", "the▁", "an", "nd", "and"]
        tokens = ["<s>", *pieces]
        place = {token: i for i, token in enumerate(tokens)}
        told = {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.scores": [-float(i) for i in range(len(tokens))],
            "tokenizer.ggml.bos_token_id": 0,
            "tokenizer.ggml.add_space_prefix": False,
        }

        def why(merges: list[tuple[str, str]], begin: bool) -> str | None:
            made = Tokenizer(models.BPE(place, merges))
            made.normalizer = normalizers.Replace(" ", "▁")
            if begin:
                made.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
            return gguf_tokenizer.why_not(told, PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>"))

        # "th" is earlier than "an"; of "and", the file prefers "an" + "d" to "a" + "nd".
        merges = [("t", "h"), ("e", "▁"), ("th", "e▁"), ("a", "n"), ("n", "d"), ("an", "d")]
        self.assertIsNone(why(merges, True))
        self.assertEqual(why(merges, False), "no begin token is put before a text")
        self.assertEqual(why(merges[::-1], True), "plain English falls into other tokens")

    def test_a_training_refuses_it(self):
        made = tiny(self.folder)
        path = self.folder / "model.gguf"
        gguf_file.write(made.model, made.tokenizer, path, "tiny")
        path.write_bytes(path.read_bytes().replace(b"gpt-2", b"poro2"))
        with self.assertRaises(Failure) as raised:
            start.checkpoint({"from": "gguf", "model": str(path), "revision": None}, torch.float32)
        self.assertEqual(raised.exception.code, "config")
        self.assertEqual(
            raised.exception.message,
            f"{path}: expected the tokenizer that the file describes, and Transformers makes another one "
            '(the splitting "poro2" is not known here)',
        )
        self.assertIn("safetensors and tokenizer.json", raised.exception.hint)


class LaunchTest(unittest.TestCase):
    """Which processes a job is given on a machine with so many GPUs."""

    def spread(self, gpus: int, device: str = "auto", processes: int | str = "auto", env: dict | None = None):
        """The command that takes the place of this process, without the interpreter; None where it goes on itself."""
        job = {"kind": "train", "device": device, "processes": processes}
        with (
            mock.patch.object(torch.cuda, "device_count", lambda: gpus),
            mock.patch.object(os, "execv") as execv,
            mock.patch.dict(os.environ, env or {}),
        ):
            program._spread(job, "JOB.json")
            self.cpu = os.environ.get("ACCELERATE_USE_CPU")
            if not execv.called:
                return None
            self.assertEqual(os.environ[program.SPREAD_MARK], "1")
            (path, arguments), _ = execv.call_args
            self.assertEqual((path, arguments[0]), (sys.executable, sys.executable))
            return arguments[1:]

    def test_one_process_for_each_gpu_by_accelerate(self):
        for wanted, processes in (("auto", 8), (4, 4)):
            command = self.spread(8, processes=wanted)
            self.assertEqual(command[:2], ["-m", "accelerate.commands.launch"])
            told = launch_command_parser().parse_args(command[2:])
            self.assertEqual((told.multi_gpu, told.num_processes, told.num_machines), (True, processes, 1))
            self.assertTrue(told.module)
            self.assertEqual((told.training_script, told.training_script_args), ("pretext_trainer", ["JOB.json"]))

    def test_cpus_by_torchrun(self):
        command = self.spread(0, "cpu", 2)
        self.assertEqual(command[:5], ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"])
        self.assertEqual(command[5:], ["-m", "pretext_trainer", "JOB.json"])
        self.assertEqual(self.cpu, "true")
        self.assertEqual(self.spread(0, "auto", 2)[1], "torch.distributed.run")
        # The GPUs of a job that asks for CPUs are left alone.
        self.assertEqual(self.spread(8, "cpu", 2)[1], "torch.distributed.run")

    def test_one_is_enough(self):
        for gpus, device, processes in ((0, "auto", "auto"), (1, "auto", "auto"), (8, "auto", 1), (8, "cpu", "auto")):
            self.assertIsNone(self.spread(gpus, device, processes))
        self.assertIsNone(self.spread(8, env={program.SPREAD_MARK: "1"}))
        self.assertIsNone(self.spread(8, env={"LOCAL_RANK": "0"}))

    def test_more_than_there_are_gpus_is_refused(self):
        with self.assertRaises(Failure) as raised:
            self.spread(2, processes=4)
        self.assertEqual(raised.exception.message, "expected at most 2 processes, one for each GPU, got 4")


class EndTest(WithFolder):
    """What is told of a job that ends by an error."""

    def told(self, error: BaseException) -> dict:
        said = Collected()
        with (
            mock.patch.object(program, "read_job", lambda _: {"kind": "check"}),
            mock.patch.object(program, "open_channel", lambda speaks: said.channel),
            mock.patch.object(program, "listen"),
            mock.patch.object(check, "run", side_effect=error),
        ):
            self.assertEqual(program.run("JOB.json"), 1)
        (event,) = said.events
        self.assertEqual(event.pop("event"), "failed")
        return event

    def test_memory_that_runs_out_anywhere_is_told_with_what_to_do(self):
        loading = Failure("config", "m: Transformers could not load it (OutOfMemoryError)")
        loading.__cause__ = torch.OutOfMemoryError("CUDA out of memory")
        for error, kind in (
            (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate zebra"), "OutOfMemoryError"),
            (RuntimeError("CUDA error: out of memory, zebra"), "RuntimeError"),
            (RuntimeError("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory: zebra"), "RuntimeError"),
            (MemoryError("zebra"), "MemoryError"),
            (loading, "OutOfMemoryError"),
        ):
            told = self.told(error)
            self.assertEqual(told["code"], "config")
            self.assertRegex(told["message"], rf"^memory ran out \({kind} at [\w.:< ]*\)$")
            for remedy in ("--micro-batch", "a smaller model", "device cpu"):
                self.assertIn(remedy, told["hint"])

    def test_other_errors_are_not_taken_for_it(self):
        told = self.told(RuntimeError("a zebra has no stripes"))
        self.assertEqual(told["code"], "unexpected")
        self.assertRegex(told["message"], r"^the trainer met an unforeseen error \(RuntimeError at [^)]*\)$")
        known = Failure("data", "no texts", "get some")
        known.__cause__ = RuntimeError("a zebra has no stripes")
        self.assertEqual(self.told(known), {"code": "data", "message": "no texts", "hint": "get some"})

    def test_a_package_that_is_missing_is_named(self):
        told = self.told(ModuleNotFoundError("No module named 'peft'", name="peft"))
        self.assertEqual((told["code"], told["message"]), ("dependency", "the trainer's Python has no package peft"))

    def test_without_pfl_the_pythons_that_have_it_are_told_and_what_to_do(self):
        def missing(version):
            told = program._missing_package("pfl", version, str(self.folder))
            self.assertEqual(told.code, "dependency")
            self.assertEqual(
                told.message,
                "federated arms need Python 3.11 or 3.12 with the package pfl, "
                f"and the trainer's Python {version[0]}.{version[1]} has no pfl",
            )
            return told.hint

        self.assertIn("install the packages of trainer/requirements.txt", missing((3, 12)))
        # Somebody's own Python: nothing of theirs is to be removed.
        self.assertIn("let PRETEXT_PYTHON name a Python 3.11 or 3.12", missing((3, 13)))
        (self.folder / "pretext.json").write_text("{}")
        self.assertIn(f"install Python 3.12, remove {self.folder}, and run again", missing((3, 13)))


class ScheduleTest(unittest.TestCase):
    def test_learning_rates(self):
        plan = {"learningRate": 1.0, "warmupSteps": 10, "schedule": "cosine"}
        self.assertAlmostEqual(learning_rate(plan, 0, 110), 0.1)
        self.assertAlmostEqual(learning_rate(plan, 10, 110), 1.0)
        self.assertAlmostEqual(learning_rate(plan, 60, 110), 0.5)
        self.assertAlmostEqual(learning_rate({**plan, "schedule": "linear"}, 35, 110), 0.75)
        self.assertEqual(learning_rate({**plan, "schedule": "constant"}, 100, 110), 1.0)
        # A short training is not all warm-up.
        self.assertEqual(learning_rate({**plan, "schedule": "constant"}, 1, 8), 1.0)


class SavedModelTest(WithFolder):
    def test_the_folder_loads_with_transformers_alone(self):
        made = tiny(self.folder)
        made.model.save_pretrained(self.folder / "m")
        made.tokenizer.save_pretrained(self.folder / "m")
        tokenizer = AutoTokenizer.from_pretrained(self.folder / "m")
        model = AutoModelForCausalLM.from_pretrained(self.folder / "m")
        ids = tokenizer("The mail", return_tensors="pt")["input_ids"]
        self.assertEqual(ids[0, 0], tokenizer.bos_token_id)
        self.assertEqual(model.generate(ids, max_new_tokens=4, min_new_tokens=4, do_sample=False).shape[1], ids.shape[1] + 4)


if __name__ == "__main__":
    unittest.main()
