# Which layers stay in one look at a mixed network: pi_i ~ U(0, sigmoid(s_i)), and of each group of neighbours the better half.
import torch


def groups_of(layers: int, size: int) -> list[range]:
    """Contiguous groups; a single layer left over joins the last one, since half of one is none or all."""
    groups = [range(start, min(start + size, layers)) for start in range(0, layers, size)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        groups[-2:] = [range(groups[-2].start, layers)]
    return groups


def sample(scores: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
    """True: the layer stays. Of a group of n exactly n // 2 do. (torch.median of an even number is the lower one of the two in
    the middle, so that `>=` would keep 3 of 4.)"""
    chances = torch.rand(len(scores), generator=generator) * torch.sigmoid(scores)
    kept = torch.zeros(len(scores), dtype=torch.bool)
    for group in groups_of(len(scores), size):
        order = torch.argsort(chances[group.start : group.stop], descending=True)
        kept[group.start + order[: len(group) // 2]] = True
    return kept


def scored(scores: torch.Tensor, masks: list[torch.Tensor], losses: list[float], rate: float, reward: str) -> torch.Tensor:
    """Scores after one comparison: layers that were kept in a mask gain its reward, exp(-loss) against the mean of all. At a
    loss of 3 these differ in the third digit, so that they are divided by their spread unless raw ones are asked for."""
    gains = torch.exp(-torch.tensor(losses, dtype=torch.float64))
    rewards = gains - gains.mean()
    if reward == "standardised":
        rewards = rewards / rewards.std(correction=0).clamp_min(1e-12)
    slope = torch.sigmoid(scores) * (1 - torch.sigmoid(scores))
    moved = scores.clone()
    for mask, gained in zip(masks, rewards, strict=True):
        moved += rate * float(gained) * slope * mask
    return moved
