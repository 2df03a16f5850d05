"""Continuous batching for a small Llama or Gemma 3: static key-value cache, one CUDA graph per batch and context size.

A row of the cache is a slot. Prompts are prefilled into free slots together; all slots are then decoded together, some
steps per replay, and what is finished makes room. On a CPU the same code runs without graphs. Made for measurements:
one model, no paging, no preemption.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F

STEPS = 8  # decoded between two looks at the results
TRIES = 4  # draws of the nucleus sampler


@dataclasses.dataclass
class Request:
    ids: list[int]
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    tag: object = None
    out: list[int] = dataclasses.field(default_factory=list)


def buckets(most: int, unit: int) -> list[int]:
    sizes = [unit * m for m in (1, 2, 4, 8, 12, 16, 24, 32, 48, 64) if unit * m < most]
    return [*sizes, most]


def uniforms(seed: torch.Tensor, step: torch.Tensor, count: int) -> torch.Tensor:
    """splitmix64 of (seed, step, i): a request draws the same numbers in whatever batch it runs."""
    i = torch.arange(count, device=seed.device)
    z = seed[:, None] * -7046029254386353131 + (step[:, None] * count + i + 1) * -4658895280553007687
    z = (z ^ ((z >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    z = (z ^ ((z >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    z = z ^ ((z >> 31) & 0x1FFFFFFFF)
    return ((z >> 40) & 0xFFFFFF).float() / 2**24


def sample(logits, temperature, top_p, min_p, u):
    """Nucleus sampling without a sort: draw from all, and take the first draw whose more likely tokens weigh less than top_p.

    That is exact up to the draws being spent: with 4 of them at top_p .95, six in a million fall back to the most likely.
    """
    greedy = logits.argmax(-1)
    probs = torch.softmax(logits / temperature.clamp(min=1e-6)[:, None], -1)
    cdf = probs.cumsum(-1)
    drawn = torch.searchsorted(cdf, u * cdf[:, -1:]).clamp(max=logits.shape[-1] - 1)
    own = probs.gather(-1, drawn)
    heavier = torch.stack([torch.where(probs > own[:, j : j + 1], probs, 0).sum(-1) for j in range(u.shape[1])], -1)
    most = probs.gather(-1, greedy[:, None])
    fits = (heavier < top_p[:, None]) & (own >= min_p[:, None] * most)
    first = drawn.gather(-1, fits.to(torch.uint8).argmax(-1, keepdim=True))[:, 0]
    return torch.where(fits.any(-1) & (temperature > 0), first, greedy)


@dataclasses.dataclass
class Layer:
    """What is None, a Llama has not."""

    qkv: torch.Tensor
    out: torch.Tensor
    up: torch.Tensor
    down: torch.Tensor
    before_attention: torch.Tensor
    before_mlp: torch.Tensor
    theta: float
    heads: torch.Tensor | None = None  # of the norm of each query's and key's head
    after_attention: torch.Tensor | None = None
    after_mlp: torch.Tensor | None = None


class Llama:
    """The weights of a Hugging Face Llama or Gemma 3, and the layers both prefill and decode run through. Contexts are those of
    Gemma's sliding window at most, so that all its layers look at all of them."""

    def __init__(self, model, device: str, dtype: torch.dtype):
        c = model.config
        gemma = c.model_type.startswith("gemma3")
        self.heads, self.groups, self.dim = c.num_attention_heads, c.num_key_value_heads, c.head_dim
        self.eps, self.count = c.rms_norm_eps, c.num_hidden_layers
        self.begin = [c.bos_token_id] if gemma else []
        self.activation = (lambda x: F.gelu(x, approximate="tanh")) if gemma else F.silu
        if gemma:
            assert c.query_pre_attn_scalar == c.head_dim and c.attn_logit_softcapping is None and c.final_logit_softcapping is None
        to = lambda w: w.detach().to(device, dtype)  # noqa: E731
        # Gemma keeps a norm's weights as what they differ from 1 by.
        norm = lambda n: to(n.weight + 1 if gemma else n.weight)  # noqa: E731
        self.embed, self.norm = to(model.model.embed_tokens.weight), norm(model.model.norm)
        self.scale = to(torch.tensor(c.hidden_size**0.5)) if gemma else None
        self.head = to(model.lm_head.weight)
        thetas = [(c.rope_parameters[c.layer_types[i]] if gemma else c.rope_parameters)["rope_theta"] for i in range(self.count)]
        self.frequencies = {
            theta: 1.0 / theta ** (torch.arange(0, self.dim, 2, device=device).float() / self.dim) for theta in set(thetas)
        }
        self.layers = []
        for i, l in enumerate(model.model.layers):
            a, m = l.self_attn, l.mlp
            own: dict = {"before_mlp": norm(l.pre_feedforward_layernorm if gemma else l.post_attention_layernorm)}
            if gemma:
                heads = [norm(a.q_norm)] * self.heads + [norm(a.k_norm)] * self.groups
                own |= {"heads": torch.stack(heads), "after_attention": norm(l.post_attention_layernorm)}
                own |= {"after_mlp": norm(l.post_feedforward_layernorm)}
            self.layers.append(
                Layer(
                    qkv=to(torch.cat([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight])),
                    out=to(a.o_proj.weight),
                    up=to(torch.cat([m.gate_proj.weight, m.up_proj.weight])),
                    down=to(m.down_proj.weight),
                    before_attention=norm(l.input_layernorm),
                    theta=thetas[i],
                    **own,
                )
            )

    def rotation(self, positions: torch.Tensor, theta: float) -> tuple[torch.Tensor, torch.Tensor]:
        angles = positions[..., None, None].float() * self.frequencies[theta]
        angles = torch.cat([angles, angles], -1)
        return angles.cos().to(self.embed.dtype), angles.sin().to(self.embed.dtype)

    def normed(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        return x if weight is None else F.rms_norm(x, x.shape[-1:], weight, self.eps)

    def run(self, tokens, positions, attend) -> torch.Tensor:
        """Hidden states of `tokens` of any shape; `attend(layer, q, k, v)` keeps k and v and answers."""
        x = F.embedding(tokens, self.embed)
        if self.scale is not None:
            x = x * self.scale
        shape = x.shape[:-1]
        rotations = {theta: self.rotation(positions, theta) for theta in self.frequencies}
        for i, l in enumerate(self.layers):
            h = F.linear(self.normed(x, l.before_attention), l.qkv).view(*shape, -1, self.dim)
            qk, v = h.split([self.heads + self.groups, self.groups], -2)
            if l.heads is not None:
                qk = F.rms_norm(qk, (self.dim,), None, self.eps) * l.heads
            cos, sin = rotations[l.theta]
            half = self.dim // 2
            qk = qk * cos + torch.cat([-qk[..., half:], qk[..., :half]], -1) * sin
            q, k = qk.split([self.heads, self.groups], -2)
            x = x + self.normed(F.linear(attend(i, q, k, v).reshape(*shape, -1), l.out), l.after_attention)
            gate, linear = F.linear(self.normed(x, l.before_mlp), l.up).chunk(2, -1)
            x = x + self.normed(F.linear(self.activation(gate) * linear, l.down), l.after_mlp)
        return self.normed(x, self.norm)


class Engine:
    def __init__(self, llama: Llama, slots: int, context: int, ends: set[int], decode, prefill_tokens: int = 65536):
        self.m, self.slots, self.context, self.ends, self.text = llama, slots, context, ends, decode
        self.prefill_tokens = prefill_tokens
        device, dtype = llama.embed.device, llama.embed.dtype
        self.graphs = {} if device.type == "cuda" else None
        # cuDNN's attention plans anew for every shape; the others take the mask of the decoding as it is.
        torch.backends.cuda.enable_cudnn_sdp(False)
        self.sizes, self.lengths = buckets(slots, min(64, slots)), list(range(64, context, 64)) + [context]
        cache = (llama.count, slots, llama.groups, context, llama.dim)
        self.k, self.v = torch.zeros(cache, device=device, dtype=dtype), torch.zeros(cache, device=device, dtype=dtype)
        self.tokens, self.at, self.step, self.seed = (torch.zeros(slots, dtype=torch.long, device=device) for _ in range(4))
        self.temperature, self.top_p, self.min_p = (torch.ones(slots, device=device) for _ in range(3))
        self.written = torch.zeros(STEPS, slots, dtype=torch.long, device=device)
        self.rows: list[Request | None] = [None] * slots
        self.prompt_tokens = self.output_tokens = 0
        self.steps = 0
        # Only a token with the last character of a stop string can end it.
        self.pieces = None

    @property
    def active(self) -> int:
        return sum(row is not None for row in self.rows)

    def admit(self, waiting: list[Request]) -> None:
        """Takes what there is room for out of `waiting`, oldest first, and writes each one's first token."""
        free = [i for i, row in enumerate(self.rows) if row is None]
        taken = sorted(waiting[: len(free)], key=lambda r: len(r.ids))
        del waiting[: len(free)]
        while taken:
            length = -(-len(taken[-1].ids) // 32) * 32
            count = max(1, self.prefill_tokens // length)
            batch, taken = taken[-count:], taken[:-count]
            self.prefill(batch, free[: len(batch)], min(length, self.context))
            free = free[len(batch) :]

    @torch.inference_mode()
    def prefill(self, batch: list[Request], slots: list[int], length: int) -> None:
        device = self.tokens.device
        ids = torch.zeros(len(batch), length, dtype=torch.long)
        for i, request in enumerate(batch):
            ids[i, : len(request.ids)] = torch.tensor(request.ids)
        place = torch.tensor(slots, device=device)
        last = torch.tensor([len(r.ids) - 1 for r in batch], device=device)

        def attend(i, q, k, v):
            self.k[i, place, :, :length], self.v[i, place, :, :length] = k.transpose(1, 2), v.transpose(1, 2)
            # Padding stands on the right, where no real token looks.
            q, k, v = (t.transpose(1, 2) for t in (q, k, v))
            return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True).transpose(1, 2)

        hidden = self.m.run(ids.to(device), torch.arange(length, device=device), attend)
        for to, values in (
            (self.temperature, [r.temperature for r in batch]),
            (self.top_p, [r.top_p for r in batch]),
            (self.min_p, [r.min_p for r in batch]),
            (self.seed, [r.seed for r in batch]),
        ):
            to[place] = torch.tensor(values, dtype=to.dtype, device=device)
        self.step[place], self.at[place] = 0, last + 1
        rows = torch.arange(len(batch), device=device)
        self.tokens[place] = self.choose(hidden[rows, last], place)
        self.step[place] = 1
        for request, slot, token in zip(batch, slots, self.tokens[place].tolist()):
            self.rows[slot] = request
            request.out.append(token)
            self.prompt_tokens += len(request.ids)

    def choose(self, hidden, place) -> torch.Tensor:
        logits = F.linear(hidden, self.m.head).float()
        u = uniforms(self.seed[place], self.step[place], TRIES)
        return sample(logits, self.temperature[place], self.top_p[place], self.min_p[place], u)

    def forward(self, size: int, length: int, row: int) -> None:
        """One token for each of the first `size` slots, whose contexts are at most `length` long."""
        m, rows = self.m, torch.arange(size, device=self.tokens.device)
        at = self.at[:size]
        seen = torch.arange(length, device=at.device) <= at[:, None]
        mask = torch.zeros(seen.shape, dtype=self.k.dtype, device=at.device).masked_fill_(~seen, float("-inf"))
        mask = mask[:, None, None].expand(-1, m.groups, m.heads // m.groups, -1)

        def attend(i, q, k, v):
            self.k[i][rows, :, at], self.v[i][rows, :, at] = k, v
            # The query heads of a group stand as queries of one head: keys and values are read once.
            q = q.view(size, m.groups, m.heads // m.groups, m.dim)
            return F.scaled_dot_product_attention(q, self.k[i, :size, :, :length], self.v[i, :size, :, :length], mask)

        token = self.choose(m.run(self.tokens[:size], at, attend), slice(0, size))
        self.tokens[:size] = token
        self.written[row, :size] = token
        self.step[:size] += 1
        self.at[:size] = (at + 1).clamp(max=self.context - 1)

    @torch.inference_mode()
    def decode(self) -> list[tuple[Request, str, str]]:
        """Some steps for all slots; the requests that ended, each with its text and why."""
        used = [i for i, row in enumerate(self.rows) if row is not None]
        if not used:
            return []
        size = next(s for s in self.sizes if s > used[-1])
        longest = max(len(self.rows[i].ids) + len(self.rows[i].out) for i in used) + STEPS
        length = next((l for l in self.lengths if l >= longest), self.context)
        if self.graphs is None:
            for row in range(STEPS):
                self.forward(size, length, row)
        else:
            self.graph(size, length).replay()
        self.steps += STEPS
        written = self.written[:, :size].T.tolist()
        ended = []
        for i in used:
            request = self.rows[i]
            result = self.ending(request, written[i])
            if result is not None:
                self.rows[i] = None
                self.output_tokens += len(request.out)
                ended.append((request, *result))
        return ended

    def ending(self, request: Request, tokens: list[int]) -> tuple[str, str] | None:
        """Goes on with `tokens` (the first was looked at by nobody either, after a prefill) to the end, if it comes."""
        start = len(request.out) - 1 if len(request.out) == 1 else len(request.out)
        request.out.extend(tokens)
        lasts = {stop[-1] for stop in request.stop}
        for j in range(start, len(request.out)):
            token = request.out[j]
            if token in self.ends:
                del request.out[j:]
                return self.text(request.out), "stop"
            if lasts and not lasts.isdisjoint(self.pieces[token]):
                text = self.text(request.out[: j + 1])
                found = [at for at in (text.find(stop) for stop in request.stop) if at >= 0]
                if found:
                    del request.out[j + 1 :]
                    return text[: min(found)], "stop"
            if j + 1 >= request.max_tokens or len(request.ids) + j + 1 >= self.context:
                del request.out[j + 1 :]
                return self.text(request.out), "length"
        return None

    def graph(self, size: int, length: int) -> torch.cuda.CUDAGraph:
        if (size, length) not in self.graphs:
            graph = torch.cuda.CUDAGraph()
            pool = next(iter(self.graphs.values())).pool() if self.graphs else None
            torch.cuda.synchronize()
            with torch.cuda.graph(graph, pool=pool):
                for row in range(STEPS):
                    self.forward(size, length, row)
            self.graphs[size, length] = graph
        return self.graphs[size, length]

    def warm(self) -> None:
        """Library handles are made outside of a capture. No slot is in use yet, so what is written is overwritten."""
        with torch.inference_mode():
            self.forward(self.sizes[0], self.lengths[0], 0)
            if self.graphs is not None:
                torch.cuda.synchronize()
