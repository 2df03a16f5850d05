# The adapter that FedLPP trains: LoRA on the attention projections of a start that everybody knows.
import torch
from torch import nn

from ..failure import Failure
from .quantise import Adapter

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")


def with_adapter(base: nn.Module, rank: int, alpha: float, seed: int) -> nn.Module:
    """The model with B A beside each projection; B begins at zero, so that nothing changes."""
    from peft import LoraConfig, get_peft_model

    names = {name.rsplit(".", 1)[-1] for name, _ in base.named_modules()}
    if not names.issuperset(PROJECTIONS):
        raise Failure("config", f"expected a model of the Llama family, with {', '.join(PROJECTIONS)}, got another")
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(PROJECTIONS), task_type="CAUSAL_LM")
    return get_peft_model(base, config)


def trained(model: nn.Module) -> Adapter:
    """A copy of what is trained."""
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


def load(model: nn.Module, adapter: Adapter) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(adapter[name])


def distance(a: Adapter, b: Adapter) -> float:
    """|a - b| / |b| over all values."""
    off = sum(float((a[n].double() - b[n].double()).square().sum()) for n in b)
    whole = sum(float(b[n].double().square().sum()) for n in b)
    return (off / whole) ** 0.5 if whole > 0 else 0.0
