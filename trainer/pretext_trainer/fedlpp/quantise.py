# How FedLPP delivers an adapter (arXiv 2406.10976, section 3; QLoRA's NormalFloat, arXiv 2305.14314): blocks of values,
# each divided by its largest magnitude and rounded to the nearest entry of a small codebook. The message is packed for
# real: bytes are counted on it, and a client gets what it decodes to. Deterministic, so no differential privacy.
import math

import numpy as np
import torch
from scipy.stats import norm

# The outermost quantile of NormalFloat: (1 - 1/32 + 1 - 1/30) / 2.
OFFSET = (1 - 1 / 32 + 1 - 1 / 30) / 2
# Delivered as it is: the federated averaging that FedLPP is compared with.
WHOLE = 16
BITS = (1, 2, 3, 4, WHOLE)

Adapter = dict[str, torch.Tensor]


def codebook(bits: int) -> torch.Tensor:
    """NF-k: 2^(k-1) positive quantiles of a Gaussian, 0, and one negative quantile less. One bit: the signs and 0."""
    if bits == 1:
        return torch.tensor([-1.0, 0.0, 1.0])
    half = 2 ** (bits - 1)
    above = norm.ppf(np.linspace(OFFSET, 0.5, half + 1)[:-1])
    below = -norm.ppf(np.linspace(OFFSET, 0.5, half)[:-1])
    values = np.sort(np.concatenate([above, [0.0], below]))
    return torch.tensor(values / values.max(), dtype=torch.float32)


def _blocks(tensor: torch.Tensor, block: int) -> torch.Tensor:
    """Rows of `block` values; the tail is filled up with zeros, which change no largest magnitude."""
    flat = tensor.detach().reshape(-1).to("cpu", torch.float32)
    rows = math.ceil(flat.numel() / block)
    full = torch.zeros(rows * block)
    full[: flat.numel()] = flat
    return full.view(rows, block)


def _indices(rows: torch.Tensor, scales: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    unit = rows / torch.where(scales > 0, scales, 1.0)[:, None]
    return torch.bucketize(unit, (codes[1:] + codes[:-1]) / 2)


def _pack(indices: np.ndarray, bits: int) -> bytes:
    if bits == 1:
        # Five values of three in a byte.
        full = np.zeros(-(-indices.size // 5) * 5, dtype=np.uint8)
        full[: indices.size] = indices
        return (full.reshape(-1, 5) @ np.array([81, 27, 9, 3, 1], dtype=np.uint8)).astype(np.uint8).tobytes()
    return np.packbits(np.unpackbits(indices.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]).tobytes()


def _unpack(data: bytes, count: int, bits: int) -> np.ndarray:
    packed = np.frombuffer(data, dtype=np.uint8)
    if bits == 1:
        return (packed[:, None] // np.array([81, 27, 9, 3, 1], dtype=np.uint8) % 3).reshape(-1)[:count]
    each = np.unpackbits(packed)[: count * bits].reshape(count, bits)
    return each @ (1 << np.arange(bits - 1, -1, -1))


def _packed_bytes(count: int, bits: int) -> int:
    return -(-count // 5) if bits == 1 else -(-count * bits // 8)


def encode(adapter: Adapter, bits: int, block: int, scale: np.dtype) -> bytes:
    """The message of one round, tensor after tensor: the scales of its blocks, then the packed indices. A receiver knows
    the shapes. `scale` is the number type of the scales."""
    parts: list[bytes] = []
    codes = None if bits == WHOLE else codebook(bits)
    for tensor in adapter.values():
        if codes is None:
            parts.append(tensor.detach().to("cpu", torch.float32).numpy().tobytes())
            continue
        rows = _blocks(tensor, block)
        scales = rows.abs().amax(dim=1).numpy().astype(scale)
        indices = _indices(rows, torch.from_numpy(scales.astype(np.float32)), codes)
        parts += [scales.tobytes(), _pack(indices.reshape(-1)[: tensor.numel()].numpy(), bits)]
    return b"".join(parts)


def decode(message: bytes, like: Adapter, bits: int, block: int, scale: np.dtype) -> Adapter:
    """What the receiver of a message holds; `like` gives names, shapes and the device, never values."""
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        return message[at - size : at]

    result: Adapter = {}
    for name, tensor in like.items():
        count = tensor.numel()
        if bits == WHOLE:
            flat = torch.from_numpy(np.frombuffer(take(4 * count), dtype=np.float32).copy())
        else:
            rows = math.ceil(count / block)
            scales = np.frombuffer(take(rows * np.dtype(scale).itemsize), dtype=scale).astype(np.float32)
            indices = _unpack(take(_packed_bytes(count, bits)), count, bits)
            flat = codebook(bits)[torch.from_numpy(indices.astype(np.int64))]
            flat = flat * torch.from_numpy(np.repeat(scales, block)[:count])
        result[name] = flat.view(tensor.shape).to(tensor.device)
    return result


def quantised(tensor: torch.Tensor, bits: int, block: int, scale: np.dtype = np.dtype(np.float32)) -> torch.Tensor:
    """Q(tensor): what a message with this tensor decodes to."""
    one = {"": tensor}
    return decode(encode(one, bits, block, scale), one, bits, block, scale)[""]
