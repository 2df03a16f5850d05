# A projection with LoRA as the paper writes it (arXiv 2409.17538, section 3): W0 + s B A with A of r x m entries N(0, 1/r)
# and B = 0. With A frozen, plain SGD and s = 1 the step is -rate x G A^T A: the gradient, sketched.
import numpy as np
import torch
from torch import nn

from ..failure import Failure

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
INITS = ("gaussian", "orthonormal", "peft-gaussian", "peft-uniform")


def draw_a(init: str, rank: int, width: int, seed: list[int]) -> torch.Tensor:
    """A of rank x width. gaussian and orthonormal have E[A^T A] = I; PEFT's two do not (variance 1/r^2, and 1/(3 width))."""
    random = np.random.default_rng(seed)
    if init == "gaussian":
        a = random.standard_normal((rank, width)) / rank**0.5
    elif init == "orthonormal":
        if rank > width:
            raise Failure("config", f"expected a rank of at most {width} for orthonormal rows, got {rank}")
        a = np.linalg.qr(random.standard_normal((width, rank)))[0].T * (width / rank) ** 0.5
    elif init == "peft-gaussian":
        a = random.standard_normal((rank, width)) / rank
    else:
        a = random.uniform(-1, 1, (rank, width)) / width**0.5
    return torch.tensor(a, dtype=torch.float32)


class Sketched(nn.Module):
    """A linear layer with `up` (B) and `down` (A) beside it; names that no library takes for its own."""

    def __init__(self, base: nn.Linear, rank: int, scale: float = 1.0):
        super().__init__()
        self.base, self.scale = base, scale
        self.down = nn.Linear(base.in_features, rank, bias=False, device=base.weight.device)
        self.up = nn.Linear(rank, base.out_features, bias=False, device=base.weight.device)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.scale * self.up(self.down(x))

    @torch.no_grad()
    def set_a(self, a: torch.Tensor) -> None:
        self.down.weight.copy_(a)

    @torch.no_grad()
    def merge(self) -> None:
        """Moves B A into the layer; B is zero again."""
        self.base.weight += self.scale * (self.up.weight @ self.down.weight)
        self.up.weight.zero_()


def projections(model: nn.Module) -> dict[str, nn.Module]:
    """The attention projections by name, in the order of the model."""
    found = {n: m for n, m in model.named_modules() if n.rsplit(".", 1)[-1] in PROJECTIONS}
    if {n.rsplit(".", 1)[-1] for n in found} != set(PROJECTIONS):
        raise Failure("config", f"expected a model of the Llama family, with {', '.join(PROJECTIONS)}, got another")
    return found


def put(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)


def sketch(model: nn.Module, rank: int, init: str, seed: int) -> dict[str, Sketched]:
    """Puts LoRA at each projection (in place); nothing is trained yet, and the model computes what it did."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    made = {}
    for place, (name, layer) in enumerate(projections(model).items()):
        made[name] = Sketched(layer, rank)
        made[name].set_a(draw_a(init, rank, layer.in_features, [seed, 21, place, 0]))
        put(model, name, made[name])
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return made


def unsketch(model: nn.Module, layers: dict[str, Sketched]) -> None:
    """The plain model again, with every B A merged."""
    for name, layer in layers.items():
        layer.merge()
        put(model, name, layer.base)
