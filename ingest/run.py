"""An ingest run that the API was asked for, in a process of its own.

    python -m ingest.run RUN PARENT_PID     # the settings as JSON on stdin

What is to be done stands in the store, and so does how far it is and how it ended. SIGTERM stops it
as Ctrl-C does `citadel ingest`: after the running commit, and what was committed stays. It ends
with whoever has started it.
"""

import contextlib
import json
import signal
import sys
import time
import traceback
from types import FrameType

from ingest.plan import Plan, Task
from ingest.site import open_site
from ingest.sync import Report, Site, carry_out, make_plan
from rag.errors import CitadelError, NotFound
from rag.folders import allowed
from rag.sandbox import die_with_parent
from rag.settings import Settings
from rag.store import Counts, Failure, Run, Store
from rag.types import SourceFile

NOTE_EVERY_S = 0.5


class Notes:
    """An ingest's progress, written down in the store. See `ingest.progress.Progress`."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.store: Store | None = None  # set as soon as it is open
        self._total = self._done = 0
        self._failures: list[Failure] = []
        self._noted = 0.0

    def stage(self, text: str) -> None:
        """See `Progress`."""

    def found(self, n_files: int) -> None:
        """See `Progress`."""

    def begin(self, n_files: int, n_bytes: int) -> None:
        """See `Progress`."""
        self._total = n_files
        self._note()

    def committed(self, uri: str, size_bytes: int) -> None:
        """See `Progress`."""
        self._done += 1
        self._note_sometimes()

    def failed(self, uri: str, size_bytes: int, reason: str) -> None:
        """See `Progress`."""
        self._done += 1
        self._failures.append(Failure(path=uri, error=reason, hint=""))
        self._note_sometimes()

    def say(self, text: str) -> None:
        """See `Progress`."""

    def _note_sometimes(self) -> None:
        if time.monotonic() - self._noted > NOTE_EVERY_S or self._done == self._total:
            self._note()

    def _note(self) -> None:
        assert self.store is not None
        self._noted = time.monotonic()
        counts = Counts(total=self._total, done=self._done, failed=len(self._failures))
        self.store.runs.note(self._number, counts, self._failures)

    def settle(self, report: Report) -> None:
        """Write down what the run has done, when it is over."""
        assert self.store is not None
        counts = Counts(
            total=self._total,
            done=self._done,
            added=report.added,
            updated=report.updated,
            moved=report.moved,
            unchanged=report.unchanged,
            removed=report.removed,
            failed=len(report.failed) + len(report.closed),
        )
        failures = [Failure(path=f.path, error=f.error, hint=f.hint) for f in report.failed]
        failures += [Failure(path=c.path, error=c.error, hint=c.hint) for c in report.closed]
        self.store.runs.note(self._number, counts, failures)


def main() -> None:
    """Do the run that the arguments name, and write down how it ended."""
    die_with_parent(int(sys.argv[2]))
    signal.signal(signal.SIGTERM, _interrupt)
    number, settings = int(sys.argv[1]), Settings(**json.load(sys.stdin))
    with contextlib.suppress(KeyboardInterrupt):  # who has sent the signal writes down why
        _run(number, settings)


def _run(number: int, settings: Settings) -> None:
    notes = Notes(number)
    with open_site(settings, notes) as site:
        runs, notes.store = site.store.runs, site.store
        try:
            notes.settle(_carry_out(site, runs.one(number)))
        except CitadelError as error:
            runs.end(number, "failed", error.message, error.hint)
        except Exception:  # noqa: BLE001  the border of a run
            traceback.print_exc()  # into the log of the server
            message = "something went wrong inside the server"
            runs.end(number, "failed", message, "The server's log says more.")
        else:
            runs.end(number, "done")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _carry_out(site: Site, run: Run) -> Report:
    if run.is_upload:
        return _take_in(site, run)
    paths = [allowed(path, site.settings) for path in run.paths]
    return carry_out(site, make_plan(site, paths, run.collection), run.collection)


def _take_in(site: Site, run: Run) -> Report:
    """Ingest an uploaded file. One that cannot be read leaves nothing but the run's own record."""
    [uri], sha256 = run.paths, run.content_sha256
    try:
        status = site.store.originals.path(sha256).stat()
    except NotFound as error:
        raise NotFound("the uploaded file is gone", hint="Upload it again.") from error
    seen = SourceFile(uri, status.st_size, int(run.created_at.timestamp() * 1e9), sha256)
    report = carry_out(site, Plan(tasks=[Task(seen, is_kept=True)]), run.collection)
    if any(failure.path == uri for failure in report.failed):
        site.store.remove_sources(run.collection, [uri])
    return report


if __name__ == "__main__":
    main()
