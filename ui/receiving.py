"""An answer that is received beside the page's runs.

A run of the page ends whenever its visitor clicks on something. What an engine writes takes a
while, so it is received in a thread of its own, and the next run goes on with it from its
beginning. An answer that no run has followed for a while is given up, and the API with it.
"""

import threading
from collections.abc import Generator
from itertools import count

from rag.client import Client, Line, Problem
from rag.client.records import Asked, Event

BEAT_S = 0.4  # a run that waits looks up this often, so that it can be ended
ALONE_S = 30.0


class Receiving:
    """One answer as far as it has arrived."""

    def __init__(self, client: Client, asked: Asked, *, alone_s: float = ALONE_S) -> None:
        self._events: list[Event] = []  # only ever grows
        self._problem: Problem | None = None
        self._over = False
        self._line = Line()
        self._alone_s = alone_s
        self._n_runs = 0  # that follow
        self._n_begun = 0  # that have ever followed
        self._changed = threading.Condition()
        threading.Thread(target=self._receive, args=(client, asked), daemon=True).start()

    @property
    def given_up(self) -> bool:
        """Whether it was ended before its end."""
        return self._line.cut

    def stop(self) -> None:
        """Let nothing more come; the API stops working on it."""
        with self._changed:
            if not self._over:
                self._line.hang_up()
                self._over = True
                self._changed.notify_all()

    def follow(self) -> Generator[Event | None, None, None]:
        """All events from the first on, and None at each beat that brings none.

        Raises:
            Problem: there is no answer, or not a whole one.
        """
        with self._changed:
            self._n_runs += 1
            self._n_begun += 1
        try:
            for index in count():
                while not self._has(index):
                    if self._over:
                        break
                    yield None
                if not self._has(index):
                    break
                yield self._events[index]
        finally:
            self._leave()
        if self._problem is not None:
            raise self._problem

    def _has(self, index: int) -> bool:
        """Whether that event is there, after a beat at the latest."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or index < len(self._events), BEAT_S)
            return index < len(self._events)

    def _leave(self) -> None:
        with self._changed:
            self._n_runs -= 1
            if self._over:
                return
            timer = threading.Timer(self._alone_s, self._stop_unless_followed, [self._n_begun])
        timer.daemon = True
        timer.start()

    def _stop_unless_followed(self, n_begun: int) -> None:
        """Give up where no run follows, nor has followed since so many had begun."""
        if not self._n_runs and self._n_begun == n_begun:
            self.stop()

    def _receive(self, client: Client, asked: Asked) -> None:
        problem = None
        try:
            for event in client.ask(asked, self._line):
                if not self._take(event):
                    return
        except Problem as found:
            problem = found
        with self._changed:
            if not self._over:
                self._problem, self._over = problem, True
                self._changed.notify_all()

    def _take(self, event: Event) -> bool:
        """Keep an event; False where nobody waits for it any more."""
        with self._changed:
            if not self._over:
                self._events.append(event)
                self._changed.notify_all()
            return not self._over
