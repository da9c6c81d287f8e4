"""What fits on a node's GPUs: weights, KV cache, tensor parallelism, replicas, guard.

Arithmetic only; what a server really allocates is in its log ("GPU KV cache size"). The two
constants are those of the table in deploy/README.md: vLLM is given 92 % of a GPU, and 4 GiB of that
go to activations, CUDA graphs and NCCL.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rag.errors import ConfigError

GIB = 1024**3
UTILISATION = 0.92
OVERHEAD_BYTES = 4 * GIB  # per GPU
STEP = 1024  # tokens; windows are multiples of it
LEAST_CONTEXT = 8192  # tokens; with less there is no room for passages and an answer
GUARD_CONTEXT = 16_384
BATCHED_TOKENS = 8192  # of one step, --max-num-batched-tokens
CONTEXTS = (8192, 32_768, 131_072)
FP8_CACHE_CAPABILITY = 8.9  # Ada; older GPUs have no FP8
HOPPER = 9.0
SMALLER = {"FP8": 0.515, "INT4": 0.284}  # share of 16-bit weights; embeddings stay 16 bit
MOST_GPUS = 16  # of one machine


@dataclass(frozen=True, slots=True)
class Model:
    """What of a model decides where it fits."""

    name: str
    weights_bytes: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    context_tokens: int
    weights: str = "BF16"  # what most of them are stored as
    n_sliding: int = 0  # layers that look back over `window_tokens` only
    window_tokens: int = 0
    evenly: tuple[int, ...] = ()  # what tensor parallelism must divide besides the heads
    has_kv_scales: bool = False  # the checkpoint was calibrated for an FP8 KV cache
    tool_parser: str = ""  # vLLM's parser of its tool calls, where it is known

    def kv_bytes_per_token(self, number_bytes: int, tensor_parallel: int = 1) -> int:
        """Bytes of a token's keys and values on one GPU; heads are copied where they run out."""
        heads = math.ceil(self.n_kv_heads / tensor_parallel)
        return 2 * self.n_layers * heads * self.head_dim * number_bytes

    def sequence_bytes(self, n_tokens: int, number_bytes: int, tensor_parallel: int = 1) -> int:
        """Bytes of a whole sequence's cache on one GPU.

        A layer with a sliding window holds the window and what one step adds, as vLLM does.
        """
        of_layer = self.kv_bytes_per_token(number_bytes, tensor_parallel) // self.n_layers
        kept = min(n_tokens, self.window_tokens - 1 + BATCHED_TOKENS)
        return of_layer * ((self.n_layers - self.n_sliding) * n_tokens + self.n_sliding * kept)

    def divides(self, tensor_parallel: int) -> bool:
        """Whether the model can be cut into so many parts."""
        kv, n = self.n_kv_heads, tensor_parallel
        heads_fit = self.n_heads % n == 0 and (kv % n == 0 or n % kv == 0)
        return heads_fit and all(size % n == 0 for size in self.evenly)


LLAMA_70B_SHAPE = (80, 64, 8, 128, 131_072)  # layers, heads, KV heads, head dim, window
BUILT_IN = {
    model.name: model
    for model in (
        Model(
            "llama-3.3-70b", 141_107_412_992, *LLAMA_70B_SHAPE, "BF16",
            evenly=(28_672,), tool_parser="llama3_json",
        ),
        Model(
            "llama-3.3-70b-fp8", 72_700_000_000, *LLAMA_70B_SHAPE, "FP8",
            evenly=(28_672,), tool_parser="llama3_json",
        ),
        Model(
            "llama-3.3-70b-int4", 40_000_000_000, *LLAMA_70B_SHAPE, "INT4",
            evenly=(28_672 // 128,), tool_parser="llama3_json",
        ),
        Model("llama-guard-3-8b", 16_060_522_496, 32, 32, 8, 128, 131_072, evenly=(14_336,)),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    """The GPUs of one machine; they are alike."""

    n_gpus: int
    gpu_bytes: int
    capability: float = HOPPER  # CUDA compute capability
    busy: tuple[int, ...] = ()  # GPUs on which something else already holds memory

    @property
    def is_hopper(self) -> bool:
        """Whether these are H100, H200 or their kin."""
        return HOPPER <= self.capability < HOPPER + 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be placed on a node."""

    model: Model
    guard: Model | None
    fp8_cache: bool | None = None  # None: where the checkpoint has scales and the GPU has FP8
    context_tokens: int | None = None  # None: the model's window, or what fits of it

    def number_bytes(self, node: Node) -> int:
        """Bytes of one number of the KV cache."""
        able = node.capability >= FP8_CACHE_CAPABILITY
        fp8 = self.model.has_kv_scales and able if self.fp8_cache is None else self.fp8_cache
        return 1 if fp8 else 2


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything goes."""

    wanted: Wanted
    node: Node
    tensor_parallel: int
    replicas: int
    context_tokens: int
    room_bytes: int  # for the KV cache, on each GPU of the engine
    utilisation: float  # of each GPU of the engine
    guard_gpu: int | None
    guard_shares: bool  # its GPU is also the engine's
    guard_utilisation: float
    free_gpus: tuple[int, ...]

    @property
    def number_bytes(self) -> int:
        """Bytes of one number of the KV cache."""
        return self.wanted.number_bytes(self.node)

    @property
    def kv_tokens(self) -> int:
        """Tokens that one replica's cache holds, in sequences as long as the window."""
        return self.room_bytes * self.context_tokens // self._bytes_of(self.context_tokens)

    def concurrent(self, n_tokens: int) -> float:
        """Contexts of so many tokens that all replicas hold at once; 0 where none fits."""
        if n_tokens > self.context_tokens:
            return 0.0
        return math.floor(10 * self.replicas * self.room_bytes / self._bytes_of(n_tokens)) / 10

    def _bytes_of(self, n_tokens: int) -> int:
        model = self.wanted.model
        return model.sequence_bytes(n_tokens, self.number_bytes, self.tensor_parallel)


def plan(wanted: Wanted, node: Node) -> Plan:
    """The layout with the longest window, then a GPU of its own for the guard, then most replicas.

    Raises:
        ConfigError: nothing fits; the message says why and the hint what would.
    """
    found = _best(wanted, node)
    if found is None:
        raise _refusal(wanted, node)
    return found


def _best(wanted: Wanted, node: Node) -> Plan | None:
    if wanted.number_bytes(node) == 1 and node.capability < FP8_CACHE_CAPABILITY:
        return None
    return max(layouts(wanted, node), key=_worth, default=None)


def _worth(found: Plan) -> tuple[int, bool, int, int]:
    return (found.context_tokens, not found.guard_shares, found.replicas, found.kv_tokens)


def layouts(wanted: Wanted, node: Node) -> Iterator[Plan]:
    """Every layout that fits: each tensor parallelism, the guard alone and beside the engine."""
    guard = wanted.guard
    usable = int(UTILISATION * node.gpu_bytes)
    if guard is None:
        yield from _engines(wanted, node, node.n_gpus, usable)
    elif guard_bytes(guard) <= usable:
        for found in _engines(wanted, node, node.n_gpus - 1, usable):
            yield _with_guard_alone(found)
        for found in _engines(wanted, node, node.n_gpus, usable - guard_bytes(guard)):
            yield _with_guard_beside(found, guard)


def guard_bytes(guard: Model) -> int:
    """What the guard needs beside something else: weights, overhead, one window of its own."""
    window = min(GUARD_CONTEXT, guard.context_tokens)
    return guard.weights_bytes + OVERHEAD_BYTES + guard.sequence_bytes(window, 2)


def _engines(wanted: Wanted, node: Node, n_gpus: int, usable: int) -> Iterator[Plan]:
    """Engines without guard on the first `n_gpus`; `usable` bytes of each GPU are theirs."""
    for tensor_parallel in filter(wanted.model.divides, range(1, n_gpus + 1)):
        weights = math.ceil(wanted.model.weights_bytes / tensor_parallel)
        room = usable - OVERHEAD_BYTES - weights
        context = _context(wanted, wanted.number_bytes(node), room, tensor_parallel)
        if context:
            replicas = n_gpus // tensor_parallel
            yield Plan(
                wanted, node, tensor_parallel, replicas, context, room,
                utilisation=round(usable / node.gpu_bytes, 6),
                guard_gpu=None,
                guard_shares=False,
                guard_utilisation=0.0,
                free_gpus=tuple(range(tensor_parallel * replicas, node.n_gpus)),
            )  # fmt: skip


def _context(wanted: Wanted, number_bytes: int, room: int, tensor_parallel: int) -> int:
    """The longest window up to the one wanted whose cache fits `room`; 0 where it is too short."""
    model = wanted.model
    longest = min(wanted.context_tokens or model.context_tokens, model.context_tokens)

    def taken(n_tokens: int) -> int:
        return model.sequence_bytes(n_tokens, number_bytes, tensor_parallel)

    if taken(longest) <= room:
        return longest
    steps = range(STEP, longest, STEP)
    context = STEP * bisect_right(steps, room, key=taken)
    asked_for = wanted.context_tokens is not None
    return 0 if asked_for or context < min(LEAST_CONTEXT, model.context_tokens) else context


def _with_guard_alone(found: Plan) -> Plan:
    first, *rest = found.free_gpus
    return replace(found, guard_gpu=first, guard_utilisation=UTILISATION, free_gpus=tuple(rest))


def _with_guard_beside(found: Plan, guard: Model) -> Plan:
    """The guard on the last GPU of one engine: vLLM takes the same share of each of its GPUs."""
    n = found.tensor_parallel
    return replace(
        found,
        replicas=1,
        guard_gpu=n - 1,
        guard_shares=True,
        guard_utilisation=guard_bytes(guard) / found.node.gpu_bytes,
        free_gpus=tuple(range(n, found.node.n_gpus)),
    )


def _refusal(wanted: Wanted, node: Node) -> ConfigError:
    """Why nothing fits, and what would."""
    what = " with ".join(m.name for m in (wanted.model, wanted.guard) if m is not None)
    where = f"{_gpus(node.n_gpus)} of {node.gpu_bytes / GIB:.1f} GiB"
    would = "; ".join(_what_would(wanted, node))
    hint = f"It would fit with {would}." if would else "Use larger GPUs or a smaller model."
    return ConfigError(f"{what} does not fit on {where}: {_reason(wanted, node)}", hint=hint)


def _reason(wanted: Wanted, node: Node) -> str:
    model, guard = wanted.model, wanted.guard
    number_bytes, usable = wanted.number_bytes(node), UTILISATION * node.gpu_bytes
    if number_bytes == 1 and node.capability < FP8_CACHE_CAPABILITY:
        return f"an FP8 cache needs compute capability {FP8_CACHE_CAPABILITY} or newer"
    if guard is not None and guard_bytes(guard) > usable:
        return f"the guard alone needs {guard_bytes(guard) / GIB:.1f} GiB of one GPU"
    n = max(filter(model.divides, range(1, node.n_gpus + 1)))
    held = [f"{model.weights_bytes / n / GIB:.1f} GiB of weights", "4 GiB of overhead"]
    if guard is not None:
        held.append(f"{guard_bytes(guard) / GIB:.1f} GiB of the guard beside it")
    window = wanted.context_tokens or LEAST_CONTEXT
    cache = model.sequence_bytes(window, number_bytes, n) / GIB
    cut = "the GPU" if n == 1 else f"cut into {n}, each GPU"
    return (
        f"{cut} would hold {', '.join(held)} and {cache:.1f} GiB for a window of {window:,}"
        f" tokens, and vLLM may use {usable / GIB:.1f} GiB of it"
    )


def _what_would(wanted: Wanted, node: Node) -> Iterator[str]:
    """The smaller wishes and the larger nodes that have a plan."""
    model = wanted.model
    if wanted.context_tokens and (shorter := _best(replace(wanted, context_tokens=None), node)):
        yield f"a window of {shorter.context_tokens:,} tokens"
    fp8_cache = replace(wanted, fp8_cache=True)
    if wanted.number_bytes(node) == 2 and _best(fp8_cache, node):
        yield "an FP8 cache (--kv-dtype fp8)"
    for kind, share in SMALLER.items() if model.weights == "BF16" else ():
        smaller = replace(model, weights_bytes=int(share * model.weights_bytes), weights=kind)
        if _best(replace(wanted, model=smaller), node):
            yield f"a checkpoint in {kind} (about {smaller.weights_bytes / 1e9:.0f} GB)"
    larger = (replace(node, n_gpus=n) for n in range(node.n_gpus + 1, MOST_GPUS + 1))
    if enough := next((other for other in larger if _best(wanted, other)), None):
        yield f"{_gpus(enough.n_gpus)} of this size"


def _gpus(n: int) -> str:
    return f"{n} GPU{'s' * (n != 1)}"
