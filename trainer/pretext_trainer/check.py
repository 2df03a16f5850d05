# The job "check": what this Python has. For `pretext doctor`, and before a Python that the user named is trusted.
import importlib.metadata
import platform

from .channel import Channel

PACKAGES = ["torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors", "gguf", "bitsandbytes"]
# Of the federated arms alone, and not for every Python: a training does not name it among its versions.
ARMS = ["pfl"]


def versions() -> dict[str, str]:
    found = {name: _version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **{k: v for k, v in found.items() if v is not None}}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def run(_job: dict, _channel: Channel) -> dict:
    packages = {name: _version(name) for name in [*PACKAGES, *ARMS]}
    gpus, device = 0, "cpu"
    if packages["torch"] is not None:
        import torch

        gpus = torch.cuda.device_count()
        device = torch.cuda.get_device_name(0) if gpus else "cpu"
    return {"python": platform.python_version(), "packages": packages, "device": device, "gpus": gpus}
