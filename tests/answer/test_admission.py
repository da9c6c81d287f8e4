"""Admission: who uses the engine, who waits, who is sent away; and that nothing is lost."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rag.answer.admission import MAX_RETRY_AFTER_S, Admission
from rag.errors import ContextOverflow, EngineBusy


class Room:
    """Requests that stay until they are told to leave, and the order in which they got in."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.inside: list[str] = []
        self.refused: dict[str, EngineBusy] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}

    async def ask(self, name: str, n_tokens: int) -> None:
        """Start a request and let it come as far as it can."""
        self._ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._stay(name, n_tokens))
        await settle()

    async def end(self, name: str) -> None:
        """The request has its answer."""
        self._ends[name].set()
        await settle()

    async def leave(self, name: str) -> None:
        """The reader goes away."""
        self.tasks[name].cancel()
        await settle()

    async def _stay(self, name: str, n_tokens: int) -> None:
        try:
            async with self.admission.admit(n_tokens):
                self.inside.append(name)
                await self._ends[name].wait()
        except EngineBusy as error:
            self.refused[name] = error


async def settle() -> None:
    """Until everyone that can go on has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


def in_room(
    *, kv_tokens: int = 100, concurrency: int = 8, waiting: int = 8, wait_s: float = 60
) -> Callable[[Callable[[Room], Awaitable[None]]], None]:
    """Run a story against an admission of this size; afterwards nothing may be left in it."""

    def run(story: Callable[[Room], Awaitable[None]]) -> None:
        async def whole() -> None:
            admission = Admission(kv_tokens, concurrency, waiting, wait_s)
            room = Room(admission)
            await story(room)
            for task in room.tasks.values():
                task.cancel()
            await asyncio.gather(*room.tasks.values(), return_exceptions=True)
            assert (admission.n_running, admission.tokens_in_use, admission.n_waiting) == (0, 0, 0)

        asyncio.run(whole())

    return run


def test_requests_run_together_as_long_as_their_tokens_fit() -> None:
    @in_room(kv_tokens=100)
    async def story(room: Room) -> None:
        await room.ask("a", 60)
        await room.ask("b", 40)
        await room.ask("c", 1)
        assert room.inside == ["a", "b"]
        assert room.admission.tokens_in_use == 100
        await room.end("b")
        assert room.inside == ["a", "b", "c"]


def test_there_are_never_more_requests_than_the_engine_may_have() -> None:
    @in_room(concurrency=2)
    async def story(room: Room) -> None:
        for name in "abcd":
            await room.ask(name, 1)
        assert room.inside == ["a", "b"]
        await room.end("a")
        assert room.inside == ["a", "b", "c"]


def test_a_small_request_passes_a_large_one_that_does_not_fit() -> None:
    @in_room(kv_tokens=100)
    async def story(room: Room) -> None:
        await room.ask("a", 50)
        await room.ask("large", 90)
        await room.ask("small", 10)
        assert room.inside == ["a", "small"]
        assert room.admission.n_waiting == 1


def test_a_large_request_is_passed_only_so_often() -> None:
    @in_room(kv_tokens=100, waiting=100)
    async def story(room: Room) -> None:
        await room.ask("a", 50)
        await room.ask("large", 100)
        for i in range(20):
            await room.ask(f"small {i}", 10)
            await room.end(f"small {i}")
        assert len(room.inside) == 1 + 10, "as many as fill the cache once"
        await room.end("a")
        assert room.inside[-1] == "large"
        await room.end("large")
        assert len(room.inside) == 1 + 20 + 1, "and nobody is left behind"


def test_a_request_that_can_never_fit_is_refused_at_once() -> None:
    @in_room(kv_tokens=100)
    async def story(room: Room) -> None:
        with pytest.raises(ContextOverflow, match=r"101 tokens .* holds 100"):
            async with room.admission.admit(101):
                pass


def test_beyond_the_waiting_places_a_request_is_told_when_to_come_back() -> None:
    @in_room(kv_tokens=100, waiting=1)
    async def story(room: Room) -> None:
        await room.ask("a", 100)
        await room.ask("b", 100)
        await room.ask("c", 100)
        assert room.admission.n_waiting == 1
        busy = room.refused["c"]
        assert busy.status == 429
        assert busy.retryable
        assert 1 <= busy.retry_after_s <= MAX_RETRY_AFTER_S
        assert str(busy.retry_after_s) in busy.hint


def test_full_waiting_places_do_not_keep_out_what_fits() -> None:
    @in_room(kv_tokens=100, waiting=1)
    async def story(room: Room) -> None:
        await room.ask("a", 90)
        await room.ask("b", 90)
        await room.ask("small", 10)
        assert room.inside == ["a", "small"]


def test_the_estimate_grows_with_what_waits_and_with_how_long_requests_take() -> None:
    def estimate(held_s: float, n_waiting: int) -> int:
        async def story() -> int:
            admission = Admission(100, 8, n_waiting, 60)
            admission._recent.extend([(50, held_s)] * 3)
            room = Room(admission)
            for i in range(n_waiting + 2):
                await room.ask(str(i), 100)
            for task in room.tasks.values():
                task.cancel()
            return room.refused[str(n_waiting + 1)].retry_after_s

        return asyncio.run(story())

    assert estimate(4.0, 0) == 4
    assert estimate(4.0, 2) == 12
    assert estimate(9.0, 2) == 27
    assert estimate(0.001, 2) == 1
    assert estimate(1e6, 2) == MAX_RETRY_AFTER_S


def test_a_wait_that_becomes_too_long_ends() -> None:
    @in_room(kv_tokens=100, wait_s=0.01)
    async def story(room: Room) -> None:
        await room.ask("a", 100)
        await room.ask("b", 100)
        await room.tasks["b"]
        assert "no room" in room.refused["b"].message
        assert room.admission.n_waiting == 0


def test_a_reader_who_leaves_gives_up_the_place_and_lets_the_others_on() -> None:
    @in_room(kv_tokens=100, waiting=2)
    async def story(room: Room) -> None:
        await room.ask("a", 100)
        await room.ask("b", 100)
        await room.ask("c", 10)
        await room.leave("b")
        await room.ask("d", 10)
        await room.end("a")
        assert room.inside == ["a", "c", "d"]


def test_who_leaves_in_the_moment_of_being_let_in_keeps_nothing() -> None:
    @in_room(kv_tokens=100)
    async def story(room: Room) -> None:
        await room.ask("a", 100)
        await room.ask("b", 100)
        room._ends["a"].set()
        while room.admission.n_waiting:  # b has been let in, and doesn't know it yet
            await asyncio.sleep(0)
        await room.leave("b")
        await room.ask("c", 100)
        assert room.inside == ["a", "c"]


def test_a_failure_inside_gives_the_tokens_back() -> None:
    @in_room(kv_tokens=100)
    async def story(room: Room) -> None:
        with pytest.raises(RuntimeError):
            async with room.admission.admit(100):
                raise RuntimeError
        assert room.admission.tokens_in_use == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 100)),
        st.tuples(st.just("end"), st.integers(0, 50)),
        st.tuples(st.just("leave"), st.integers(0, 50)),
    ),
    max_size=80,
)


@hypothesis_settings(deadline=None, max_examples=150)
@given(STEPS, st.integers(1, 6), st.integers(0, 6))
def test_whatever_comes_the_bounds_hold_and_everyone_is_served_or_refused(
    steps: list[tuple[str, int]], concurrency: int, waiting: int
) -> None:
    kv_tokens = 100

    async def story() -> None:
        admission = Admission(kv_tokens, concurrency, waiting, 1e6)
        room = Room(admission)
        sizes: dict[str, int] = {}
        left: set[str] = set()
        for step, n in steps:
            if step == "ask":
                name = str(len(sizes))
                sizes[name] = n
                await room.ask(name, n)
            elif n < len(sizes):
                await (room.end if step == "end" else room.leave)(str(n))
                left |= {str(n)} if step == "leave" else set()
            running = [name for name in room.inside if not room.tasks[name].done()]
            assert admission.n_running == len(running) <= concurrency
            assert admission.tokens_in_use == sum(map(sizes.__getitem__, running)) <= kv_tokens
            assert admission.n_waiting <= waiting
            assert not admission.n_waiting or running, "nobody waits for an idle engine"
            assert all(place.passed_tokens <= kv_tokens for place in admission._line)
        while running := [name for name in sizes if not room.tasks[name].done()]:
            n_before = len(running)
            for name in running:
                await room.end(name)
            assert sum(not task.done() for task in room.tasks.values()) < n_before
        assert set(room.inside) | set(room.refused) | left == set(sizes)
        assert (admission.n_running, admission.tokens_in_use, admission.n_waiting) == (0, 0, 0)

    asyncio.run(story())
