"""Verdicts on a question, while other work goes on."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from rag.answer.guard import Guard, Verdict


class Judging(AbstractAsyncContextManager["Judging"]):
    """The verdicts that are under way; cancelled where nobody waits for them any more."""

    def __init__(self, guard: Guard | None) -> None:
        self._guard = guard
        self._tasks: dict[str, asyncio.Task[Verdict]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def start(self, question: str) -> None:
        """Have a wording of the question judged, the same one only once."""
        name = " ".join(question.split())
        if self._guard is not None and name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._guard.judge(question))

    async def verdicts(self) -> Sequence[Verdict]:
        """All of them, those that block last, so that what is said before them is taken back."""
        found = await asyncio.gather(*self._tasks.values())
        return sorted(found, key=lambda verdict: verdict.action == "block")

    async def blocks(self) -> bool:
        """Whether the question may not be answered."""
        return any(verdict.action == "block" for verdict in await self.verdicts())
