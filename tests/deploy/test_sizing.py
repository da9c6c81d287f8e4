"""What fits where, against the layouts that are known, for every node that there may be."""

from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.sizing import (
    BUILT_IN,
    GIB,
    OVERHEAD_BYTES,
    UTILISATION,
    Model,
    Node,
    Plan,
    Wanted,
    guard_bytes,
    layouts,
    plan,
)
from rag.errors import ConfigError

BF16 = BUILT_IN["llama-3.3-70b"]
FP8 = BUILT_IN["llama-3.3-70b-fp8"]
INT4 = BUILT_IN["llama-3.3-70b-int4"]
GUARD = BUILT_IN["llama-guard-3-8b"]
H100 = 80 * GIB
H200 = 141 * 10**9
WINDOW = 131_072


def layout(wanted: Wanted, node: Node) -> Plan:
    """The one whose tensor parallelism takes the whole node."""
    (found,) = (p for p in layouts(wanted, node) if p.tensor_parallel == node.n_gpus)
    return found


@pytest.mark.parametrize(
    ("model", "fp8_cache", "n_gpus", "kv_tokens", "windows"),
    [
        (BF16, False, 2, 25_000, 0.0),
        (BF16, False, 4, 480_000, 3.6),
        (BF16, False, 8, 1_390_000, 10.6),
        (FP8, True, 2, 470_000, 3.6),
        (FP8, True, 4, 1_380_000, 10.5),
    ],
)
def test_the_known_layouts_come_out(
    model: Model, fp8_cache: bool, n_gpus: int, kv_tokens: int, windows: float
) -> None:
    found = layout(Wanted(model, None, fp8_cache), Node(n_gpus, H100))

    assert found.kv_tokens == pytest.approx(kv_tokens, rel=0.01, abs=600)  # rounded there
    assert found.concurrent(WINDOW) == pytest.approx(windows, abs=0.11)
    assert (found.context_tokens == WINDOW) == (windows > 1)


def test_a_token_of_llama_70b_takes_320_kib_and_half_of_it_in_eight_bits() -> None:
    assert BF16.kv_bytes_per_token(2) == 327_680
    assert BF16.kv_bytes_per_token(1, tensor_parallel=4) == 327_680 // 8
    assert BF16.sequence_bytes(WINDOW, 2) == 40 * GIB


def test_kv_heads_are_copied_where_there_are_fewer_than_gpus() -> None:
    assert BF16.kv_bytes_per_token(2, 16) == BF16.kv_bytes_per_token(2, 8)


def test_eight_h100_hold_the_model_on_four_the_guard_on_another_and_the_embedder_on_a_third() -> (
    None
):
    found = plan(Wanted(BF16, GUARD), Node(8, H100))

    assert (found.tensor_parallel, found.replicas, found.context_tokens) == (4, 1, WINDOW)
    assert (found.guard_gpu, found.guard_shares, found.free_gpus) == (4, False, (5, 6, 7))


def test_smaller_weights_leave_room_for_replicas() -> None:
    found = plan(Wanted(FP8, GUARD, fp8_cache=True), Node(8, H100))

    assert (found.tensor_parallel, found.replicas) == (2, 3)
    assert (found.guard_gpu, found.free_gpus) == (6, (7,))
    assert found.concurrent(WINDOW) == pytest.approx(3 * 3.57, abs=0.1)


def test_a_window_is_cut_to_what_the_cache_holds() -> None:
    found = plan(Wanted(BF16, None), Node(2, H100))

    assert 24_000 < found.context_tokens < 26_000
    assert found.concurrent(WINDOW) == 0
    assert found.concurrent(8192) == pytest.approx(3.1, abs=0.1)


def test_a_window_that_is_asked_for_is_had_or_refused() -> None:
    node = Node(2, H100)
    assert plan(Wanted(BF16, None, context_tokens=16_384), node).context_tokens == 16_384

    with pytest.raises(ConfigError, match="does not fit") as refused:
        plan(Wanted(BF16, None, context_tokens=WINDOW), node)

    assert "a window of 24,576 tokens" in refused.value.hint
    assert "4 GPUs of this size" in refused.value.hint


def test_the_guard_shares_the_only_gpu() -> None:
    found = plan(Wanted(FP8, GUARD, fp8_cache=True), Node(1, H200))

    assert (found.guard_gpu, found.guard_shares) == (0, True)
    assert found.utilisation + found.guard_utilisation == pytest.approx(UTILISATION, abs=0.001)


@pytest.mark.parametrize(
    ("node", "would"),
    [
        (Node(1, 24 * GIB), "9 GPUs of this size"),
        (Node(1, H200), "a checkpoint in FP8 (about 73 GB)"),
        (Node(2, H100), "a checkpoint in INT4 (about 40 GB)"),
        (Node(1, H100), "a checkpoint in INT4 (about 40 GB)"),
    ],
)
def test_what_cannot_fit_is_refused_with_the_reason_and_what_would_fit(
    node: Node, would: str
) -> None:
    with pytest.raises(ConfigError, match="does not fit") as refused:
        plan(Wanted(BF16, GUARD), node)

    assert "GiB of weights" in refused.value.message
    assert "21.0 GiB of the guard" in refused.value.message
    assert f"{node.gpu_bytes / GIB:.1f} GiB" in refused.value.message
    assert would in refused.value.hint


def test_what_is_said_to_fit_does() -> None:
    with pytest.raises(ConfigError):
        plan(Wanted(BF16, GUARD), Node(1, H200))

    assert plan(Wanted(FP8, GUARD), Node(1, H200)).tensor_parallel == 1
    assert plan(Wanted(INT4, GUARD), Node(1, H200)).tensor_parallel == 1
    assert plan(Wanted(BF16, GUARD), Node(2, H200)).tensor_parallel == 2


def test_where_not_even_the_guard_fits_that_is_the_reason() -> None:
    with pytest.raises(ConfigError, match=r"the guard alone needs 21\.0 GiB") as refused:
        plan(Wanted(INT4, GUARD), Node(8, 16 * GIB))

    assert refused.value.hint == "Use larger GPUs or a smaller model."


def test_gpus_without_eight_bit_floats_get_no_such_cache() -> None:
    ampere = Node(8, H100, capability=8.0)

    assert plan(Wanted(replace(FP8, has_kv_scales=True), GUARD), ampere).number_bytes == 2
    with pytest.raises(ConfigError, match=r"compute capability 8\.9"):
        plan(Wanted(FP8, GUARD, fp8_cache=True), ampere)


MODELS = st.builds(
    Model,
    name=st.just("a model"),
    weights_bytes=st.integers(10**9, 200 * 10**9),
    n_layers=st.integers(1, 100),
    n_heads=st.sampled_from([8, 12, 32, 40, 64]),
    n_kv_heads=st.sampled_from([1, 2, 4, 8]),
    head_dim=st.sampled_from([64, 128, 256]),
    context_tokens=st.sampled_from([4096, 32_768, 100_000, WINDOW]),
    evenly=st.sampled_from([(), (11_008,), (29_568 // 128,)]),
)
NODES = st.builds(Node, st.integers(1, 10), st.integers(16 * GIB, 200 * GIB))


@given(MODELS, st.none() | st.just(GUARD), NODES, st.booleans())
def test_no_gpu_is_ever_given_more_than_it_has(
    model: Model, guard: Model | None, node: Node, fp8_cache: bool
) -> None:
    for found in layouts(Wanted(model, guard, fp8_cache), node):
        usable = UTILISATION * node.gpu_bytes
        cache = model.sequence_bytes(
            found.context_tokens, found.number_bytes, found.tensor_parallel
        )
        held = model.weights_bytes / found.tensor_parallel + OVERHEAD_BYTES + cache
        if found.guard_shares and guard is not None:
            held += guard_bytes(guard)
        assert held <= usable + 1
        assert model.n_heads % found.tensor_parallel == 0
        assert found.concurrent(found.context_tokens) >= 1


@given(MODELS, st.none() | st.just(GUARD), NODES)
def test_every_gpu_has_one_use_except_the_shared_one(
    model: Model, guard: Model | None, node: Node
) -> None:
    for found in layouts(Wanted(model, guard), node):
        engine = range(found.tensor_parallel * found.replicas)
        alone = [] if found.guard_gpu is None or found.guard_shares else [found.guard_gpu]
        used = list(chain(engine, alone, found.free_gpus))
        assert len(used) == len(set(used))
        assert set(used) <= set(range(node.n_gpus))
        assert not found.guard_shares or found.guard_gpu in engine
