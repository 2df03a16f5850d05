# Selective rank compression: the attention of the frozen layers that stay, by their best approximation of lower rank. The
# feed-forward part is left alone.
import torch
from torch import nn

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


def kept_rank(rows: int, columns: int, beta: float) -> int:
    """The paper's "ratio" is read both ways in public code; here beta is what goes: 1 - beta of the rank stays."""
    return max(1, round((1 - beta) * min(rows, columns)))


@torch.no_grad()
def truncated(weight: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(left, right): left @ right is the nearest matrix of that rank; computed in 64 bits."""
    u, s, v = torch.linalg.svd(weight.double(), full_matrices=False)
    return (u[:, :rank] * s[:rank]).to(weight), v[:rank].to(weight)


def compress(layer: nn.Module, beta: float) -> list[int]:
    """In place; two factors where they are smaller than the matrix. Answers with the ranks that stayed."""
    ranks = []
    if beta == 0:
        return ranks
    for name in ATTENTION:
        linear = getattr(layer.self_attn, name)
        rows, columns = linear.weight.shape
        rank = kept_rank(rows, columns, beta)
        left, right = truncated(linear.weight, rank)
        ranks.append(rank)
        if rank * (rows + columns) >= rows * columns:
            with torch.no_grad():
                linear.weight.copy_(left @ right)
            continue
        factors = nn.Sequential(
            nn.Linear(columns, rank, bias=False, device=linear.weight.device),
            nn.Linear(rank, rows, bias=linear.bias is not None, device=linear.weight.device),
        )
        with torch.no_grad():
            factors[0].weight.copy_(right)
            factors[1].weight.copy_(left)
            if linear.bias is not None:
                factors[1].bias.copy_(linear.bias)
        setattr(layer.self_attn, name, factors)
    return ranks
