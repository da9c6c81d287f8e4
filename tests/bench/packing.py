"""Does the engine get to read the answer? What packing puts into the window.

The same hits, the same tokens: packed (widened to sections and documents, copies left out, grouped
by document) against chunk after chunk in the order of the search until the room is full. "Answer"
is the share of the gold answer's words, weighted by rarity, that stand in the passages of one
document together; "page" the share of questions whose cited page is at least half in the text.
Tokens are those of a tokenizer with Llama's word pattern, trained on the documents.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rag.answer.pack import RETRIEVED_FOR, pack, passage_budget
from rag.answer.passages import Passage
from rag.answer.prompts import mark_of, render_passages
from rag.answer.tokens import ExactCounter
from rag.text import words
from rag.types import Hit
from tests.answer.bpe import train
from tests.bench import sets
from tests.bench.embedding import cached_embedder
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.retrieval import _idf, _page_words
from tests.bench.run import Run, progress, scratch
from tests.bench.stores import Parts, ingested

NEEDS = ("contoso", "kgrag_sec10q")
WINDOW_TOKENS, ANSWER_TOKENS, FIXED_TOKENS = 131_072, 1024, 600
SECRET = b"of the bench"


class Text(NamedTuple):
    """A span that the engine would read."""

    document_id: int
    char_start: int
    char_end: int
    text: str


class Packed(NamedTuple):
    """What one question got."""

    answer: float
    page: float
    n_tokens: int
    n_documents: int
    ms: float


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Packing", __doc__.split("\n\n")[1].replace("\n", " "), quick=run.quick)
    with scratch() as folder, cached_embedder() as embedder:
        for name, load in (("contoso", sets.contoso), ("kgrag_sec10q", sets.kgrag)):
            asked = run.some([q for q in load(run.eval_dir) if q.cited and q.answers], 80, 10)
            progress(f"{name}: ingest and {len(asked)} questions")
            docs = run.eval_dir / name / "docs"
            with ingested(folder / f"data-{name}", embedder, docs) as parts:
                _print(name, parts, asked, _counter(folder / f"model-{name}", parts))


def _counter(folder: Path, parts: Parts) -> ExactCounter:
    documents = parts.store.list_documents(parts.access, limit=1000)
    texts = [parts.store.text(parts.access, document.id, 0, 50_000) for document in documents]
    return ExactCounter(train(folder, texts, 16_000))


def _print(name: str, parts: Parts, asked: Sequence[sets.Asked], count: ExactCounter) -> None:
    rarity = _idf(page for pages in _page_words(parts).values() for page in pages.values())
    rows: list[list[Cell]] = []
    for depth in RETRIEVED_FOR:
        budget = passage_budget(WINDOW_TOKENS, depth, ANSWER_TOKENS, FIXED_TOKENS)
        for way, packed in (("hits in order", _in_order), ("**packed**", _packed)):
            found = [_one(parts, q, depth, budget, count, packed, rarity) for q in asked]
            rows.append([f"{depth}: {way}", *_means(found, budget)])
    print_table(
        (name, "answer", "page", "share of the room", "documents", "ms, median"),
        rows,
    )
    print_line(f"{len(asked)} questions; window {WINDOW_TOKENS:,}, reserve {ANSWER_TOKENS:,}.")


def _means(found: Sequence[Packed], budget: int) -> list[Cell]:
    return [
        statistics.mean(one.answer for one in found),
        statistics.mean(one.page for one in found),
        statistics.mean(one.n_tokens for one in found) / budget,
        statistics.mean(one.n_documents for one in found),
        statistics.median(one.ms for one in found),
    ]


Way = Callable[[Parts, Sequence[Hit], int, ExactCounter], list[Text]]


def _one(
    parts: Parts,
    question: sets.Asked,
    depth: str,
    budget: int,
    count: ExactCounter,
    way: Way,
    rarity: dict[str, float],
) -> Packed:
    n_hits = RETRIEVED_FOR[depth] if way is _packed else max(RETRIEVED_FOR.values())
    hits = parts.retriever.retrieve(question.text, parts.access, n_hits).hits
    began = time.perf_counter()
    texts = way(parts, hits, budget, count)
    ms = (time.perf_counter() - began) * 1000
    return Packed(
        _answer_share(texts, question, rarity),
        _page_share(parts, texts, question),
        sum(count(text.text) for text in texts),
        len({text.document_id for text in texts}),
        ms,
    )


def _packed(parts: Parts, hits: Sequence[Hit], budget: int, count: ExactCounter) -> list[Text]:
    context = pack(hits, budget, count, parts.store, parts.access, secret=SECRET)
    return [Text(p.document_id, p.char_start, p.char_end, p.text) for p in context.passages]


def _in_order(parts: Parts, hits: Sequence[Hit], budget: int, count: ExactCounter) -> list[Text]:
    mark, texts, n_tokens = mark_of(SECRET), [], 0
    for hit in hits:
        n_tokens += count(render_passages([_as_passage(hit)], mark))
        if n_tokens > budget:
            break
        texts.append(Text(hit.chunk.document_id, hit.char_start, hit.char_end, hit.text))
    return texts


def _as_passage(hit: Hit) -> Passage:
    stored = hit.chunk
    return Passage(
        "k9z8",
        stored.document_id,
        stored.title,
        stored.source_uri,
        stored.chunk.heading_path,
        hit.page_start,
        hit.page_end,
        "",
        hit.char_start,
        hit.char_end,
        hit.text,
        (stored.id,),
        stored.language,
        hit.score,
        0,
    )


def _answer_share(texts: Sequence[Text], question: sets.Asked, rarity: dict[str, float]) -> float:
    wanted = {word: rarity.get(word, 0.0) for word in set(words(question.answers[0]))}
    total = sum(wanted.values())
    by_document: dict[int, set[str]] = {}
    for text in texts:
        by_document.setdefault(text.document_id, set()).update(words(text.text))
    shares = (sum(wanted[w] for w in wanted.keys() & have) for have in by_document.values())
    return max(shares, default=0.0) / total if total else 0.0


def _page_share(parts: Parts, texts: Sequence[Text], question: sets.Asked) -> float:
    """1 where half of a cited page, or anything of a cited file without pages, is in the text."""
    for text in texts:
        document = parts.store.document(parts.access, text.document_id)
        name = Path(document.source_uri.split("#")[0]).name
        for file, page in question.cited:
            if file != name:
                continue
            if page is None or page > document.n_pages:
                return 1.0
            place = parts.store.page(parts.access, text.document_id, page)
            inside = sum(
                max(0, min(place.char_end, t.char_end) - max(place.char_start, t.char_start))
                for t in texts
                if t.document_id == text.document_id
            )
            if inside >= 0.5 * (place.char_end - place.char_start):
                return 1.0
    return 0.0
