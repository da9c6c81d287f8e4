"""Results as text for a person. Each function returns what is printed, without the last newline."""

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Sequence

from ingest.access import Closed
from ingest.plan import Plan
from ingest.progress import duration, one_line
from ingest.sync import Failed, Report, Warned
from rag.answer.events import Final, Step
from rag.answer.guard import CATEGORIES
from rag.place import place
from rag.store import CollectionInfo
from rag.types import Citation, Document, Hit

MAX_FAILURES = 20
SNIPPET_CHARS = 300
WIDTH = 92
UNSUPPORTED = "[not supported by its sources]"


def format_report(report: Report, collection: str) -> str:
    """The summary at the end of an ingest."""
    counts = [
        (report.added, "added"),
        (report.updated, "updated"),
        (report.moved, "moved"),
        (report.removed, "removed"),
        (report.unchanged, "unchanged"),
        (len(report.failed), "failed"),
    ]
    did = ", ".join(f"{n:,} {what}" for n, what in counts if n) or "nothing to do"
    holds = f"{_count(report.documents, 'document')}, {_count(report.chunks, 'chunk')}"
    lines = [f"{did} in {duration(report.seconds)}"]
    if report.relimited:
        lines.append(f"{_count(report.relimited, 'file')} with other readers than before")
    lines.append(f"collection {collection!r} holds {holds}")
    if report.warned:
        lines += ["", format_warned(report.warned)]
    if report.failed:
        lines += ["", format_failures(report.failed)]
    if report.closed:
        lines += ["", format_closed(report.closed)]
    return "\n".join(lines)


def format_status(
    collections: Sequence[CollectionInfo], failures: Sequence[Failed], *, show_all: bool
) -> str:
    """What is in the store, and what is not."""
    if not collections:
        return "Nothing has been ingested yet: citadel ingest PATH"
    lines = [
        f"{info.name}: {_count(info.n_documents, 'document')}, {_count(info.n_chunks, 'chunk')}"
        for info in collections
    ]
    if failures:
        limit = len(failures) if show_all else MAX_FAILURES
        lines += ["", format_failures(failures, limit)]
    return "\n".join(lines)


def format_failures(failures: Sequence[Failed], limit: int = MAX_FAILURES) -> str:
    """Failed files, those with the same reason and the same advice together."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for failure in failures[:limit]:
        groups[failure.error, failure.hint].append(failure.path)
    lines = [f"Not ingested ({len(failures):,}):"]
    for (error, hint), paths in groups.items():
        lines += [f"  {one_line(path)}" for path in paths]
        lines.append(f"    {one_line(error)}")
        if hint:
            lines.append(f"    → {one_line(hint)}")
    if len(failures) > limit:
        lines.append(f"  … and {len(failures) - limit:,} more: citadel status --all")
    return "\n".join(lines)


def format_warned(warned: Sequence[Warned], limit: int = MAX_FAILURES) -> str:
    """Files that were read with something to know of them, those with the same together."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for each in warned[:limit]:
        groups[each.warnings].append(each.path)
    lines = [f"Read, but to be looked at ({len(warned):,}):"]
    for warnings, paths in groups.items():
        lines += [f"  {one_line(path)}" for path in paths]
        lines += [f"    {one_line(warning)}" for warning in warnings]
    if len(warned) > limit:
        lines.append(f"  … and {len(warned) - limit:,} more: citadel documents --warnings")
    return "\n".join(lines)


def format_closed(closed: Sequence[Closed]) -> str:
    """Folders that nobody reads until a file in them is mended."""
    lines = [f"Closed to everyone but the operator, until it is mended ({len(closed):,}):"]
    for each in closed:
        lines += [
            f"  {one_line(each.folder)}",
            f"    {one_line(each.path)}: {one_line(each.error)}",
        ]
        lines.append(f"    → {one_line(each.hint)}")
    return "\n".join(lines)


def format_plan(plan: Plan) -> str:
    """What an ingest would do, a line for each file."""
    lines = [f"{'update' if t.is_update else 'add'}  {t.seen.uri}" for t in plan.tasks]
    lines += [f"move  {move.old_uri} → {move.new.uri}" for move in plan.moves]
    lines += [f"remove  {source.uri}" for source in plan.gone if source.state == "ingested"]
    lines += [f"limit  {folder}: {_readers(named)}" for folder, named in plan.said.by_file.items()]
    lines += [f"skip  {s.uri}: {s.error}" for s in (*plan.refused, *plan.listed)]
    shown = [one_line(line) for line in lines]
    if plan.said.mapped:
        shown.append(f"{_count(plan.n_limited, 'file')} not for everyone, by permissions")
    shown.append(f"{plan.n_unchanged + len(plan.touched):,} unchanged")
    return "\n".join([*shown, *([format_closed(plan.closed)] if plan.closed else [])])


def _readers(named: tuple[str, ...] | None) -> str:
    return "everyone" if named is None else ", ".join(named) or "nobody"


def format_hits(hits: Iterable[Hit]) -> str:
    """Search results."""
    return "\n\n".join(_format_hit(hit) for hit in hits) or "Nothing found."


def _format_hit(hit: Hit) -> str:
    stored, chunk = hit.chunk, hit.chunk.chunk
    where = one_line(place(stored.title, stored.source_uri, chunk.page_start, chunk.page_end))
    lines = [f"{hit.rank}. {where}  ({hit.score:.2f})", f"   {one_line(stored.source_uri)}"]
    if chunk.heading_path:
        lines.append(f"   {' > '.join(chunk.heading_path)}")
    return "\n".join([*lines, _indented(_shorten(chunk.text))])


def format_step(step: Step) -> str:
    """One step of a research."""
    if step.outcome in ("error", "withheld"):
        return one_line(f"{step.number}. {step.detail}")
    did = "opened" if step.tool == "open_document" else "searched for:"
    found = _count(step.n_found, "passage") if step.n_found else "nothing"
    return one_line(f"{step.number}. {did} {step.detail} ({found})")


def format_answer(final: Final) -> str:
    """An answer with its sources, or that there is none and what was searched."""
    if final.status == "answered":
        notes = [notice.text for notice in final.notices]
        if final.searched.unnamed:
            notes.append(f"Nothing that was found mentions {_listed(final.searched.unnamed)}.")
        notices = "".join(f"Note: {note}\n\n" for note in notes)
        sources = f"\n\n{_format_sources(final.citations)}" if final.citations else ""
        return f"{notices}{_with_markers(final)}{sources}"
    if final.status == "blocked":
        about = ", ".join(CATEGORIES[category] for category in final.categories)
        return f"Blocked by the guard{f': {about}' if about else ''}."
    if final.status == "no_verdict":
        return "Not answered: the guard, which reads every answer, does not work. Try again later."
    searched = final.searched
    names = ", ".join(searched.collections) or "no collection"
    documents = _count(searched.n_documents, "document")
    lines = ["Not in the documents.", "", f"Searched {documents} in {names} for: {searched.query}"]
    if searched.unnamed:
        lines.append(f"Nothing that was found mentions {_listed(searched.unnamed)}")
    if final.related:
        lines += ["", "Perhaps related:", ""]
        lines.append("\n\n".join(_format_hit(hit) for hit in final.related[:3]))
    return "\n".join(lines)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(one_line, names))


def _with_markers(final: Final) -> str:
    """The answer with [n] after each sentence, and a word where its sources don't bear it out."""
    text = ""
    for sentence in final.sentences:
        numbers = dict.fromkeys(citation.id for citation in sentence.citations)
        marks = "".join(f"[{n}]" for n in numbers) + UNSUPPORTED * (not sentence.supported)
        text += sentence.glue + sentence.text + (f" {marks}" if marks else "")
    return text


def _format_sources(citations: Iterable[Citation]) -> str:
    sources = {citation.id: citation for citation in citations}
    lines = ["Sources"]
    for number, citation in sorted(sources.items()):
        uri, first, last = citation.source_uri, citation.page_start, citation.page_end
        where = one_line(place(citation.title, uri, first, last))
        lines.append(f"[{number}] {where}\n    {one_line(citation.source_uri)}")
    return "\n".join(lines)


def format_documents(documents: Iterable[Document], *, with_warnings: bool = False) -> str:
    """One line for each document, and below it what is to be known of it."""
    lines = []
    for d in documents:
        lines.append(f"{d.id:>6}  {one_line(d.title)}  [{d.collection}]  {one_line(d.source_uri)}")
        if with_warnings:
            lines += [f"{'':8}{one_line(warning)}" for warning in d.warnings]
    return "\n".join(lines)


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _shorten(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SNIPPET_CHARS else flat[:SNIPPET_CHARS].rsplit(" ", 1)[0] + " …"


def _indented(text: str) -> str:
    return textwrap.fill(
        one_line(text), WIDTH, initial_indent="   ", subsequent_indent="   ", break_on_hyphens=False
    )
