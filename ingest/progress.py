"""How far an ingest is: a bar on a terminal, a line every few seconds elsewhere. Both on stderr."""

import sys
import time
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

LINE_EVERY_S = 5.0
INGESTING = ("ingesting", "file")  # what is done, and to what
ENOUGH_TO_JUDGE = 0.03  # the share of the work after which the time left is more than a guess


class Progress(Protocol):
    """What an ingest tells while it runs. Called by one thread."""

    def stage(self, text: str) -> None:
        """What is being done now."""

    def found(self, n_files: int) -> None:
        """How many files a scan has found so far; told often."""

    def begin(self, n_files: int, n_bytes: int) -> None:
        """How much there is to ingest."""

    def committed(self, uri: str, size_bytes: int) -> None:
        """A file's documents are in the store, for good."""

    def failed(self, uri: str, size_bytes: int, reason: str) -> None:
        """A file could not be ingested."""

    def say(self, text: str) -> None:
        """Something worth a line of its own."""


class Meter:
    """Counts what is done and works out rate and time left."""

    def __init__(self, n_files: int = 0, n_bytes: int = 0, noun: str = "file") -> None:
        self.n_files, self._n_bytes, self._noun = n_files, n_bytes, noun
        self.done, self._bytes, self.n_failed = 0, 0, 0
        self._started = time.monotonic()

    def advance(self, size_bytes: int, *, failed: bool) -> None:
        """One more file is done."""
        self.done += 1
        self._bytes += size_bytes
        self.n_failed += failed

    @property
    def share(self) -> float:
        """The part of the work that is done: half by files, half by bytes, since both cost."""
        if not self.n_files:
            return 1.0
        by_bytes = self._bytes / self._n_bytes if self._n_bytes else 1.0
        return min(1.0, (self.done / self.n_files + by_bytes) / 2)

    def __str__(self) -> str:
        elapsed = time.monotonic() - self._started
        text = f"{self.done:,} of {self.n_files:,} {self._noun}s"
        if self.n_failed:
            text += f", {self.n_failed:,} failed"
        if self.done and elapsed > 1:
            rate = self.done / elapsed
            text += f", {rate:,.1f}" if rate < 100 else f", {rate:,.0f}"
            text += f" {self._noun}s/s"
            if ENOUGH_TO_JUDGE < self.share < 1:
                text += f", about {duration(elapsed / self.share - elapsed)} left"
        return text


class Lines:
    """Plain lines. With `verbose`, one for every file: `committed PATH` or `failed PATH: why`.

    `doing` says what is done and to what, in the singular.
    """

    def __init__(
        self, stream: TextIO, *, verbose: bool = False, doing: tuple[str, str] = INGESTING
    ) -> None:
        self._stream = stream
        self._verbose = verbose
        self._verb, self._noun = doing
        self._meter = Meter()
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stage(self, text: str) -> None:
        """See `Progress`."""
        if self._verbose and text:
            self.say(text)

    def found(self, n_files: int) -> None:
        """See `Progress`. A line for each folder would be too much."""

    def begin(self, n_files: int, n_bytes: int) -> None:
        """See `Progress`."""
        self._meter = Meter(n_files, n_bytes, self._noun)
        self.say(f"{self._verb} {n_files:,} {self._noun}{'s' * (n_files != 1)}")

    def committed(self, uri: str, size_bytes: int) -> None:
        """See `Progress`."""
        self._advance(size_bytes, f"committed {one_line(uri)}", failed=False)

    def failed(self, uri: str, size_bytes: int, reason: str) -> None:
        """See `Progress`."""
        self._advance(size_bytes, f"failed {one_line(uri)}: {one_line(reason)}", failed=True)

    def say(self, text: str) -> None:
        """See `Progress`."""
        print(text, file=self._stream, flush=True)

    def _advance(self, size_bytes: int, line: str, *, failed: bool) -> None:
        self._meter.advance(size_bytes, failed=failed)
        if self._verbose:
            self.say(line)
        elif time.monotonic() - self._last > LINE_EVERY_S:
            self._last = time.monotonic()
            self.say(str(self._meter))


class Bar(Lines):
    """One line that is redrawn, for a terminal."""

    def __init__(
        self, console: Console, *, verbose: bool = False, doing: tuple[str, str] = INGESTING
    ) -> None:
        super().__init__(sys.stderr, verbose=verbose, doing=doing)
        self._console = console
        self._stage = ""
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def stage(self, text: str) -> None:
        """See `Progress`."""
        self._stage = text

    def found(self, n_files: int) -> None:
        """See `Progress`."""
        self._stage = f"{n_files:,} files found"

    def say(self, text: str) -> None:
        """See `Progress`."""
        self._console.print(Text(text))

    def _advance(self, size_bytes: int, line: str, *, failed: bool) -> None:
        self._meter.advance(size_bytes, failed=failed)
        if self._verbose:
            self.say(line)

    def _render(self) -> Table:
        row = Table.grid(padding=(0, 1))
        if self._meter.n_files:
            bar = ProgressBar(total=1.0, completed=self._meter.share, width=20)
            row.add_row(bar, _unbroken(str(self._meter)), _unbroken(self._stage))
        else:
            row.add_row(_unbroken(self._stage))
        return row


def _unbroken(text: str) -> Text:
    """Text that a narrow terminal cuts off: on two lines the bar would jump."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def open_progress(
    *, verbose: bool = False, stream: TextIO | None = None, doing: tuple[str, str] = INGESTING
) -> Lines:
    """A bar where stderr is a terminal, lines where it is not. Use it in a `with` block."""
    console = Console(file=stream or sys.stderr)
    if console.is_terminal:
        return Bar(console, verbose=verbose, doing=doing)
    return Lines(stream or sys.stderr, verbose=verbose, doing=doing)


def duration(seconds: float) -> str:
    """A time that a person can read: `40 s`, `3 min`, `2 h 10 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def one_line(text: str) -> str:
    """The text without control characters: a file's name must not be able to steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
