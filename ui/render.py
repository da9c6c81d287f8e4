"""From records to HTML: pure functions; what is longer has modules of its own beside this one.

Every text that comes from a document, a file name or a visitor goes through `escape` here (or
`label`, where Streamlit wants Markdown), so nothing in a document can become a link, an image or a
script.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import PurePath

from rag.client import Problem
from rag.client.records import Citation, Document, Failure, Final, Hit, Searched, Step
from ui.passage import CELL_BREAK

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_COMMAND = re.compile(r"`([^`]+)`")
_TYPES = {
    "application/pdf": "PDF",
    "application/msword": "Word",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "Word",
    "application/vnd.ms-powerpoint": "PowerPoint",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PowerPoint",
    "application/vnd.ms-excel": "Excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "Excel",
    "application/vnd.oasis.opendocument.text": "OpenDocument",
    "application/epub+zip": "EPUB",
    "application/vnd.ms-outlook": "Mail",
    "message/rfc822": "Mail",
    "text/csv": "CSV",
    "text/tab-separated-values": "TSV",
    "text/html": "HTML",
    "text/markdown": "Markdown",
    "text/plain": "Text",
}
_PAGE_WORDS = dict.fromkeys((".xlsx", ".xls"), "Sheet") | dict.fromkeys((".pptx", ".ppt"), "Slide")


def label(text: str) -> str:
    """`text` as it must be given to a widget whose label is Markdown, to be shown as it is."""
    return _PUNCTUATION.sub(r"\\\1", " ".join(text.split()))


def said(text: str) -> str:
    """A message of the API as a sentence, with the commands that it puts between backticks."""
    return _COMMAND.sub(r"<code>\1</code>", escape(text[:1].upper() + text[1:]))


def counted(n: int, singular: str) -> str:
    """`1 document`, `2 documents`, `1,200 documents`."""
    return f"{n:,} {singular}{'' if n == 1 else 's'}"


def file_name(uri: str) -> str:
    """The name of the file without its folders."""
    return PurePath(uri).name or uri


def chip(citation: Citation, by_file: bool = False, limit: int = 40) -> str:
    """The label of a citation's chip: its number, enough of the title to know the document, page.

    `by_file` names the file instead, where two documents of an answer have one title.
    """
    title = " ".join(citation.title.split())
    name = file_name(citation.source_uri) if by_file or not title else title
    short = name if len(name) <= limit else name[: limit - 1].rstrip() + "…"
    page = ", ".join(["", *_pages(citation)]).lower()
    return f"{citation.id}\u2002{label(short + page)}"


def same_page(one: Citation, other: Citation) -> bool:
    """Whether the chips of two citations differ in their numbers only."""
    return (one.document_id, _pages(one)) == (other.document_id, _pages(other))


def place(source: Citation | Hit) -> str:
    """Where a passage stands, as text: pages, then the path of headings."""
    path = _below(source.title, source.heading_path)
    return " · ".join([*_pages(source), *[path] * bool(path)])


def _pages(source: Citation | Hit) -> list[str]:
    """`Page 3`, `Slides 3–4`, or nothing where the document has no pages."""
    first, last = source.page_start, source.page_end
    if first is None:
        return []
    word = _PAGE_WORDS.get(PurePath(source.source_uri).suffix.lower(), "Page")
    return [f"{word} {first}" if last in (None, first) else f"{word}s {first}–{last}"]


def _below(title: str, headings: tuple[str, ...]) -> str:
    """The path of headings without the document's title, which stands over it anyway."""
    first = headings[0] if headings else ""
    return " › ".join(headings[1:] if f"{title}:".startswith(f"{first}:") else headings)


def sentence(text: str) -> str:
    """One sentence of the answer."""
    return f'<p class="sentence">{escape(text)} </p>'


def steps(done: Sequence[Step], *, open_: bool) -> str:
    """What a research has done so far."""
    if not done:
        return ""
    items = "".join(f"<li>{_step(step)}</li>" for step in done)
    summary = f"Research: {counted(len(done), 'step')}"
    is_open = " open" if open_ else ""
    return f'<details class="steps"{is_open}><summary>{summary}</summary><ol>{items}</ol></details>'


def _step(step: Step) -> str:
    """What a step was about is not kept with its answer."""
    detail = escape(step.detail)
    if step.outcome in ("error", "withheld"):
        return detail or "Came to nothing"
    if step.tool == "open_document":
        did = f"Opened {detail or 'a document'}"
    else:
        did = f"Searched for “{detail}”" if detail else "Searched"
    found = counted(step.n_found, "passage") if step.n_found else "nothing"
    return f"{did}: {found}"


def rewritten(query: str) -> str:
    """What was searched in the place of a follow-up."""
    return f'<p class="rewritten">Searched for: {escape(query)}</p>' if query else ""


def unguarded() -> str:
    """That nobody reads along, as long as that is so."""
    return '<p class="warning" role="status">No guard reads what the engine writes.</p>'


def support(final: Final, total_ms: float | None) -> str:
    """How well a written answer is borne out, in one quiet line."""
    told = final.support
    borne_out = ""
    if told is not None:
        left_out = f" {counted(told.dropped, 'sentence')} left out." if told.dropped else ""
        sentences = counted(told.sentences, "sentence")
        borne_out = f"{told.supported} of {sentences} supported by their sources.{left_out} "
    by = f"Written by {escape(final.engine)}"
    how = "; ".join([by, *_searched(final.searched, total_ms)])
    return f'<p class="footnote">{borne_out}{how}.</p>'


def _searched(searched: Searched, total_ms: float | None) -> list[str]:
    """How much was searched, where that is known."""
    if searched.n_documents is None:
        return []
    took = "" if total_ms is None else f" in {max(total_ms / 1000, 0.1):.1f} s"
    return [f"{counted(searched.n_documents, 'document')} searched{took}"]


def table(header: str, rows: Iterable[tuple[int, str]]) -> str:
    """Quoted rows of a table under its header, each with the number of its citation."""
    heads = [_cells(line) for line in header.splitlines()]
    cells = [(number, _cells(line)) for number, row in rows for line in row.splitlines()]
    width = max(map(len, heads + [line for _, line in cells]), default=0)
    head = "".join(_row("th", line, width, '<td class="n"></td>') for line in heads)
    body = "".join(_row("td", line, width, f'<td class="n">{n}</td>') for n, line in cells)
    return (
        f'<div class="table-quote"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'
    )


def _cells(line: str) -> list[str]:
    """The cells of a row as the parsers join them."""
    return [cell.strip() for cell in line.split(CELL_BREAK)]


def _row(tag: str, cells: list[str], width: int, first: str) -> str:
    padded = cells + [""] * (width - len(cells))
    return f"<tr>{first}{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in padded)}</tr>"


def brand(mark: str) -> str:
    """The product's mark, an SVG of our own, and name."""
    data = base64.b64encode(mark.encode()).decode()
    return (
        f'<div class="brand"><img alt="" src="data:image/svg+xml;base64,{data}">'
        "<span>Citadel</span></div>"
    )


def question(text: str) -> str:
    """The question as the heading of its answer."""
    return f'<h1 class="question">{escape(text)}</h1>'


def source_title(citations: Sequence[Citation]) -> str:
    """The label of an entry of the sources: the numbers that lead to it, and its title."""
    numbers = ", ".join(str(citation.id) for citation in citations)
    return f"{numbers}\u2002{label(citations[0].title)}"


def source_place(source: Citation | Hit) -> str:
    """Where a source stands, for the line below its title; versions differ by their file."""
    parts = [part for part in (place(source), file_name(source.source_uri)) if part]
    return f'<p class="source-place">{escape(" · ".join(parts))}</p>'


def snippet(hit: Hit, limit: int = 240) -> str:
    """The beginning of a related passage."""
    text = " ".join(hit.text.split())
    cut = text if len(text) <= limit else text[:limit].rsplit(" ", 1)[0] + " …"
    return f'{source_place(hit)}<p class="snippet">{escape(cut)}</p>'


def not_found(searched: Searched) -> str:
    """The result "not in the documents", with what was searched."""
    scope, where = "documents", ""
    if searched.n_documents is not None:
        scope = counted(searched.n_documents, "document")
        where = f"<dt>Searched in</dt><dd>{scope}</dd>"
    names = ", ".join(f"“{escape(name)}”" for name in searched.unnamed)
    unnamed = f"<dt>Not mentioned</dt><dd>{names}</dd>" if names else ""
    return (
        '<div class="card notice" role="status"><h3>Not in the documents</h3>'
        f"<p>Nothing in the {scope} that you can read answers this, so there is no answer rather "
        "than a guess.</p>"
        f"<dl><dt>Searched for</dt><dd>“{escape(searched.query)}”</dd>{where}{unnamed}</dl></div>"
    )


def unnamed(searched: Searched) -> str:
    """What the question names and nothing found mentions, beside an answer; "" where all is."""
    names = ", ".join(f"“{name}”" for name in searched.unnamed)
    return aside(f"Nothing that was found mentions {names}.") if names else ""


def withheld(final: Final) -> str:
    """That the guard let nothing pass, and the category where it named one."""
    if final.status == "no_verdict":
        text = "The guard, which reads every answer before you do, does not work just now."
        return notice("No answer for the moment", text, "Ask again in a while.")
    names = ", ".join(escape(category.name) for category in final.categories)
    return notice("Blocked by the guard", *([f"Category: {names}."] if names else []))


def aside(text: str) -> str:
    """A notice beside an answer."""
    return f'<p class="warning" role="status">{said(text)}</p>'


def footnote(n_sentences: int, searched: Searched, total_ms: float | None) -> str:
    """What the answer is made of, in one quiet line."""
    facts = [counted(n_sentences, "verbatim quote"), *_searched(searched, total_ms)]
    return f'<p class="footnote">{". ".join(facts)}.</p>'


def problem(failure: Problem) -> str:
    """A failure in words: what, why, and what to do."""
    lines = "".join(f"<p>{said(text)}</p>" for text in (failure.detail, failure.hint) if text)
    return f'<div class="card problem" role="alert"><h3>{said(failure.title)}</h3>{lines}</div>'


def waiting(failure: Problem) -> str:
    """A failure that passes: the page says so and goes on by itself."""
    note = '<p class="trying"><span class="pulse"></span>Trying again by itself …</p>'
    return problem(failure).removesuffix("</div>") + note + "</div>"


def notice(title: str, *paragraphs: str) -> str:
    """A calm message of the page's own; the paragraphs are HTML."""
    body = "".join(f"<p>{text}</p>" for text in paragraphs)
    return f'<div class="card notice"><h3>{escape(title)}</h3>{body}</div>'


def page_image(png: bytes, zoom: float, caption: str, top: float | None) -> str:
    """A page's picture, written into the HTML so that no address exists that others could open.

    `top` is the highlight's distance from the top as a share of the height: the browser begins
    there.
    """
    data = base64.b64encode(png).decode()
    target = "" if top is None else f'<i class="begin" style="top:{top:.1%}"></i>'
    return (
        f'<div class="page-frame" tabindex="0" role="group" aria-label="{escape(caption)}">'
        f'<div class="page-sheet" style="width:{zoom:.0%}">{target}'
        f'<img class="page-image" alt="{escape(caption)}" '
        f'src="data:image/png;base64,{data}"></div></div>'
    )


def viewer_header(document: Document, headings: tuple[str, ...]) -> str:
    """Title, path of headings and file of the open document."""
    below = _below(document.title, headings)
    place = escape(" · ".join([below, document.name] if below else [document.name]))
    title = f"<h3>{escape(document.title)}</h3>"
    return f'<div class="viewer-head">{title}<p class="file">{place}</p></div>'


def document_line(document: Document) -> str:
    """What the list says of a document below its title."""
    facts = [media(document.media_type), escape(document.name)]
    if document.n_pages:
        facts.append(counted(document.n_pages, "page"))
    facts.append(counted(document.n_chunks, "passage"))
    facts.append(f"{document.ingested_at:%d %b %Y}")
    if document.collection != "default":
        facts.append(escape(document.collection))
    state = badge("Ready", "good")
    if document.warnings:
        state = badge("Ready, with warnings", "warn")
    warnings = "".join(f'<p class="warning">{said(text)}</p>' for text in document.warnings)
    return f'<div class="facts">{state}<span>{" · ".join(facts)}</span></div>{warnings}'


def media(media_type: str) -> str:
    """The format's everyday name."""
    fallback = media_type.rsplit("/", 1)[-1].upper()
    return escape(_TYPES.get(media_type, fallback))


def badge(text: str, kind: str) -> str:
    """A small label of state; `kind` is good, warn or bad."""
    return f'<span class="badge {kind}">{escape(text)}</span>'


def failure_card(failure: Failure) -> str:
    """A file that was not ingested: which, why, what to do."""
    folder = str(PurePath(failure.path).parent)
    hint = f'<p class="todo">{said(failure.hint)}</p>' if failure.hint else ""
    return (
        f'<div class="failure"><div class="failure-head">{badge("Not ingested", "bad")}'
        f"<strong>{escape(file_name(failure.path))}</strong></div>"
        f'<p class="reason">{said(failure.error)}</p>{hint}'
        f'<p class="file">{escape(folder)}</p></div>'
    )


def welcome() -> str:
    """The heading over the question box while nothing has been asked."""
    return (
        '<div class="hero"><h1>What would you like to know?</h1>'
        "<p>Citadel looks it up in your company's documents and shows where it stands.</p></div>"
    )


def promises(n_documents: int, *, engine: bool = False) -> str:
    """What a visitor may expect, below the question box while nothing has been asked."""
    checked = ("Every sentence is checked", "Against the passage that it cites. Open it to see.")
    quoted = ("Every sentence is a quote", "Word for word, with its source. Open it to check.")
    facts = (
        (f"{counted(n_documents, 'document')} at hand", "Those that you are allowed to read."),
        checked if engine else quoted,
        ("No answer is an answer", "If the documents don't say, Citadel tells you so."),
    )
    items = "".join(f"<li><strong>{head}</strong><span>{text}</span></li>" for head, text in facts)
    return f'<ul class="promises">{items}</ul>'


def nothing_ingested() -> str:
    """The state in which there is no document to ask about."""
    return notice(
        "No documents yet",
        "Citadel answers from your company's documents, and there are none that you can read.",
        "An administrator adds a folder on the machine that Citadel runs on:",
        "<code>citadel ingest PATH</code>",
        "New documents can be asked about as soon as they are in; this page need not be restarted.",
    )


def searching(n_documents: int | None) -> str:
    """What is shown while nothing has been found yet."""
    scope = "the documents" if n_documents is None else counted(n_documents, "document")
    return _doing(f"Searching {scope} …")


def writing() -> str:
    """What is shown while an engine writes."""
    return _doing("Writing the answer …")


def _doing(text: str) -> str:
    return f'<p class="trying" role="status"><span class="pulse"></span>{text}</p>'


def stopped(n_sentences: int) -> str:
    """Below an answer whose reader did not wait for its end."""
    said = "Stopped here, before the answer's end." if n_sentences else "Stopped before it began."
    return aside(said)


def related_heading() -> str:
    """The heading over passages that are near to the question without answering it."""
    return (
        '<h3 class="section">Perhaps related</h3>'
        '<p class="section-note">The nearest passages. They do not answer the question.</p>'
    )


def listed(shown: int, more: bool, title: str) -> str:
    """How many documents are listed, and whether there are more."""
    what = f" with “{escape(title)}” in the title" if title else ""
    count = counted(shown, "document") if shown else "No document"
    return f'<p class="count" role="status">{"The first " if more else ""}{count}{what}</p>'
