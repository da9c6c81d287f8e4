"""Folders to be watched in, their collection kept level until somebody interrupts.

What the kernel reports only says when to look: what is done is decided by the same comparison as
`citadel ingest`. So a missed event, a flood of them or a network file system that reports nothing
cost time and never correctness; every RESCAN_S everything is looked through in any case.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import watchfiles

from ingest.permissions import format_strangers
from ingest.scan import absolute_roots
from ingest.site import renewed
from ingest.sync import Report, Site, apply_limits, carry_out, make_plan
from rag.errors import CitadelError

Notices = Generator[set[tuple[watchfiles.Change, str]], None, None]

RESCAN_S = 600.0
QUIET_MS = 1000  # changes that follow one another this closely are taken together
MOST_MS = 10_000  # but no longer than this
RETRY_S = 10.0  # after a run that failed
_TICK_MS = 1000


def watch(
    site: Site,
    paths: Sequence[Path],
    collection: str,
    *,
    posix: bool | None = None,
    rescan_s: float = RESCAN_S,
) -> None:
    """Sync now, and again whenever something changes. Returns only by an exception.

    A run that fails is reported and tried again; it does not end the watch. `posix` as in
    `make_plan`.

    Raises:
        BadRequest: a path does not exist at the start.
        KeyboardInterrupt: as it is meant to end.
    """
    roots = [Path(root) for root in absolute_roots(paths)]
    watched = _Watched(site, roots, collection, posix, set())
    while True:
        with _notices(roots) as notices:
            next(notices)  # from here on nothing is missed, whatever happens during a sync
            while _sync(watched) and _changed(site, roots, notices, rescan_s):
                pass
        time.sleep(RETRY_S)


@dataclass(slots=True)
class _Watched:
    site: Site
    roots: list[Path]
    collection: str
    posix: bool | None
    told: set[str]  # the strangers and closed folders of which it was told


def _sync(watched: _Watched) -> bool:
    collection = watched.collection
    try:
        site = watched.site = renewed(watched.site)
        plan = make_plan(site, watched.roots, collection, posix=watched.posix)
        if new := set(plan.strangers) - watched.told:
            site.progress.say(format_strangers(sorted(new)))
            watched.told.update(new)
        for each in plan.closed:
            if (told := f"{each.path}: {each.error}") not in watched.told:
                site.progress.say(f"only the operator reads {each.folder}: {told}. {each.hint}")
                watched.told.add(told)
        relimited = apply_limits(site, plan, collection) if plan.is_empty else 0
        if plan.is_empty and not relimited:
            return True
        report = carry_out(site, plan, collection)
        report.relimited += relimited
        site.progress.say(format_run(report))
    except CitadelError as error:
        watched.site.progress.say(f"{error.message}; trying again in {RETRY_S:.0f} s. {error.hint}")
        return False
    return True


def format_run(report: Report) -> str:
    """One line about a run that changed something."""
    counts = (report.added, report.updated, report.moved, report.removed, len(report.failed))
    words = ("added", "updated", "moved", "removed", "failed", "with other readers")
    did = [f"{n:,} {word}" for n, word in zip((*counts, report.relimited), words, strict=True) if n]
    return f"{time.strftime('%H:%M:%S')} {', '.join(did) or 'nothing new'}"


@contextmanager
def _notices(roots: list[Path]) -> Iterator[Notices]:
    """Batches of changes below those roots that exist; an empty batch every second."""
    watchable = [root for root in roots if root.exists()]
    notices = watchfiles.watch(
        *watchable,
        watch_filter=None,
        debounce=MOST_MS,
        step=QUIET_MS,
        rust_timeout=_TICK_MS,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )
    with closing(notices):
        yield notices


def _changed(site: Site, roots: list[Path], notices: Notices, most_s: float) -> bool:
    """Wait until something has changed, or `most_s`; False where it must be watched anew."""
    site.progress.stage("watching")
    own = str(site.settings.data_dir)
    deadline = time.monotonic() + most_s
    before = _identities(roots)
    for changes in notices:
        if _identities(roots) != before:  # a root was replaced: the kernel watches the old one
            return False
        foreign = (path for _, path in changes if path != own and not path.startswith(f"{own}/"))
        if any(foreign) or time.monotonic() >= deadline:
            return True
    return False


def _identities(roots: list[Path]) -> list[int]:
    return [root.stat().st_ino if root.exists() else 0 for root in roots]
