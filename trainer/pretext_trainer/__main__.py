# python -m pretext_trainer JOB.json: runs one job. With several GPUs it starts itself again under `accelerate launch`,
# one process for each; whoever started it sees no difference.
import importlib
import os
import sys
import traceback

from .channel import Channel, open_channel
from .failure import Failure
from .protocol import check_result, read_job
from .stop import listen
from .warm import run_as_child

# kind -> module with run(job, channel) -> result. Imported when needed: torch takes seconds to load.
KINDS = {
    "check": ".check",
    "train": ".train",
    "evaluate-model": ".evaluate_model",
    "evaluate-corpora": ".evaluate_corpora",
    "dp-prompt": ".dp_prompt",
    "fedlpp": ".fedlpp.job",
    "lora-dp-sgd": ".lora_dp_sgd.job",
    "dr-encoder": ".dr_encoder.job",
    "scaleot": ".scaleot.job",
    "federated": ".federated.fedavg",
    "central-dp": ".federated.central",
    "local": ".federated.local",
}

# Kinds that share their work among processes.
SPREAD = {"train", "federated"}
SPREAD_MARK = "PRETEXT_TRAINER_SPREAD"


def _spread(job: dict, path: str) -> None:
    """Becomes `accelerate launch` where the job wants several processes. Returns where one is enough."""
    # The mark and not the launcher's own variables alone: whatever a launcher does, this happens once.
    if job["kind"] not in SPREAD or SPREAD_MARK in os.environ or "LOCAL_RANK" in os.environ:
        return
    wanted = job.get("processes", 1)
    if wanted == 1 or (wanted == "auto" and job.get("device") == "cpu"):
        return
    import torch

    gpus = torch.cuda.device_count() if job.get("device") != "cpu" else 0
    processes = max(1, gpus) if wanted == "auto" else wanted
    if gpus and processes > gpus:
        raise Failure("config", f"expected at most {gpus} processes, one for each GPU, got {processes}")
    if processes == 1:
        return
    if gpus:
        launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes)]
        launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    else:
        # On CPUs accelerate's launcher wants MPI; this is the one that it uses for GPUs.
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        os.environ["ACCELERATE_USE_CPU"] = "true"
    os.environ[SPREAD_MARK] = "1"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *launch, "-m", "pretext_trainer", path])


def _frames(error: BaseException) -> str:
    """Where an unforeseen error arose: its kind and the frames, without messages, which may quote anything."""
    places = [f"{os.path.basename(f.filename)}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
    return f"{type(error).__name__} at {' < '.join(reversed(places[-4:]))}"


def _memory_failure(error: BaseException | None) -> Failure | None:
    """What is told where memory ran out and whoever needed it had nothing smaller to try; none for other errors."""
    if not (isinstance(error, MemoryError) or _torch_ran_out(error)):
        return None
    return Failure(
        "config",
        f"memory ran out ({_frames(error)})",
        "use a smaller batch (--micro-batch; in a comparison the arm's batch or microBatch), shorter sequences or a smaller model, "
        "or the computer's own memory (device cpu); nothing that was saved is lost: --resume",
    )


def _torch_ran_out(error: BaseException | None) -> bool:
    # Where torch is not loaded the error is not its own, and seconds are not spent on loading it.
    if error is None or "torch" not in sys.modules:
        return False
    from .step import memory_ran_out

    return memory_ran_out(error)


def _missing_package(name: str | None, version: tuple[int, ...], folder: str) -> Failure:
    """What is told of a package that this Python, of that version and in that folder, does not have."""
    hint = "install the packages of trainer/requirements.txt for this Python, or unset PRETEXT_PYTHON"
    if name != "pfl":
        return Failure("dependency", f"the trainer's Python has no package {name}", hint)
    if version >= (3, 13):
        # The folder's marker: only what pretext made itself may be removed.
        made = os.path.exists(os.path.join(folder, "pretext.json"))
        hint = (
            f"install Python 3.12, remove {folder}, and run again: the trainer's environment is made again with it"
            if made
            else "let PRETEXT_PYTHON name a Python 3.11 or 3.12 with the packages of trainer/requirements.txt, or unset it"
        )
    has = f"the trainer's Python {version[0]}.{version[1]} has no pfl"
    return Failure("dependency", f"federated arms need Python 3.11 or 3.12 with the package pfl, and {has}", hint)


def run(path: str) -> int:
    rank = int(os.environ.get("RANK", "0"))
    channel: Channel | None = None
    try:
        job = read_job(path)
        _spread(job, path)
        channel = open_channel(speaks=rank == 0)
        listen()
        module = importlib.import_module(KINDS[job["kind"]], __package__)
        result = module.run(job, channel)
        channel.send("done", result=check_result(job["kind"], result) if rank == 0 else {})
        return 0
    except Failure as failure:
        # Whoever loads a model tells of every error as one of the model.
        told = _memory_failure(failure.__cause__) or failure
        _fail(channel, told.code, told.message, told.hint)
        return 130 if told.code == "interrupted" else 1
    except KeyboardInterrupt:
        _fail(channel, "interrupted", "stopped", "--resume goes on from the last checkpoint")
        return 130
    except OSError as error:
        # The file system's own words name files, not texts.
        traceback.print_exc()
        code = "storage" if error.errno in (28, 122, 13, 1, 30, 5) else "unexpected"
        reason = os.strerror(error.errno) if error.errno else _frames(error)
        where = f" ({error.filename})" if isinstance(error.filename, str) else ""
        _fail(channel, code, f"the trainer could not go on: {reason}{where}", "nothing that was saved is lost: --resume")
        return 1
    except ModuleNotFoundError as error:
        told = _missing_package(error.name, sys.version_info[:2], sys.prefix)
        _fail(channel, told.code, told.message, told.hint)
        return 1
    except Exception as error:
        traceback.print_exc()
        told = _memory_failure(error) or Failure("unexpected", f"the trainer met an unforeseen error ({_frames(error)})")
        _fail(channel, told.code, told.message, told.hint)
        return 1


def _fail(channel: Channel | None, code: str, message: str, hint: str | None) -> None:
    (channel or open_channel()).send("failed", code=code, message=message, hint=hint)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m pretext_trainer JOB.json")
    ended = run_as_child(sys.argv[1])
    sys.exit(run(sys.argv[1]) if ended is None else ended)
