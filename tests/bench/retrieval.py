"""Does the search find the cited page? Contoso and the quarterly reports, by the product's ingest.

Contoso: a hit counts where the cited page of the cited file is within its pages. Quarterly reports:
a hit counts where it is of one of the cited files. Every way of fusing is put to the product's own
indexes; "merged" is what a user gets, where neighbours found together are one passage, which may
be some pages long: the mean number of pages of a hit stands beside it.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rag.search.passages import lifted, merge, spread
from rag.search.retrieve import BRANCH_K, JOINING, MERGED
from rag.text import words
from rag.types import Hit, StoredChunk
from tests.bench import sets
from tests.bench.embedding import CachedEmbedder, cached_embedder
from tests.bench.fusions import all_fusions
from tests.bench.naive import CANDIDATES, DENSE_WEIGHT, Naive
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.run import Run, progress, scratch
from tests.bench.stores import Parts, ingested

NEEDS = ("contoso", "kgrag_sec10q")
DEPTHS = (1, 5, 10)
BASELINE = "naive: 200-word windows, min-max, dense 0.60"


class Found(NamedTuple):
    """A hit as it is judged."""

    file: str
    page_start: int | None
    page_end: int | None


Results = dict[str, list[tuple[sets.Asked, list[Found]]]]  # way -> (question, hits) …


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Retrieval", __doc__.split("\n\n")[1].replace("\n", " "), quick=run.quick)
    with scratch() as folder, cached_embedder() as embedder:
        for name, load in (("contoso", sets.contoso), ("kgrag_sec10q", sets.kgrag)):
            asked = [question for question in load(run.eval_dir) if question.cited]
            docs = _docs(run, name, folder, asked)
            cited = {file.name for file in docs.iterdir()}
            asked = [question for question in asked if _files(question) & cited]
            asked = run.some(asked, len(asked), 20)
            progress(f"{name}: ingest and {len(asked)} questions")
            with ingested(folder / f"data-{name}", embedder, docs) as parts:
                results = {**_naive(docs, embedder, asked), **_ours(parts, asked)}
                _print_hits(name, results)
                if name == "contoso":
                    _print_label_noise(parts, asked)


def _docs(run: Run, name: str, folder: Path, asked: Sequence[sets.Asked]) -> Path:
    """The set's files; for a quick run the two smallest of those that are cited."""
    docs = run.eval_dir / name / "docs"
    if not run.quick:
        return docs
    few = folder / f"few-{name}"
    few.mkdir()
    files = {docs / file for question in asked for file in _files(question)}
    most = Counter(file for question in asked for file in _files(question)).most_common(1)[0][0]
    for file in {docs / most, min(files, key=lambda f: f.stat().st_size)}:
        (few / file.name).write_bytes(file.read_bytes())
    return few


def _files(question: sets.Asked) -> set[str]:
    return {file for file, _ in question.cited}


def _naive(docs: Path, embedder: CachedEmbedder, asked: Sequence[sets.Asked]) -> Results:
    naive = Naive(docs, embedder)
    results: Results = defaultdict(list)
    for question in asked:
        dense = naive.dense.search(embedder.encode([question.text])[0], CANDIDATES)
        lexical = naive.lexical.search(question.text, CANDIDATES)
        for way, ranking in all_fusions(dense, lexical, (DENSE_WEIGHT,)).items():
            windows = [naive.windows[row] for row, _ in ranking[: max(DEPTHS)]]
            found = [Found(w.file, w.page_start, w.page_end) for w in windows]
            results[f"naive: 200-word windows, {way}"].append((question, found))
    return results


def _ours(parts: Parts, asked: Sequence[sets.Asked]) -> Results:
    results: Results = defaultdict(list)
    for question in asked:
        vector = parts.embedder.encode([question.text])[0]
        dense = dict(parts.indexes.dense.search(vector, BRANCH_K, parts.access))
        lexical = dict(parts.indexes.lexical.search(question.text, BRANCH_K, parts.access))
        stored = parts.store.chunks(parts.access, list(dense.keys() | lexical.keys()))
        for way, ranking in all_fusions(dense, lexical).items():
            chunks = [stored[key] for key, _ in ranking[: max(DEPTHS)]]
            results[way].append((question, [_of_chunk(chunk) for chunk in chunks]))
            merged = _merged(ranking, stored)
            results[f"{way}, merged"].append((question, merged))
        weight = parts.settings.dense_weight
        shipped = parts.retriever.retrieve(question.text, parts.access, max(DEPTHS)).hits
        key = f"**as shipped** (not stretched, dense {weight:.2f}, merged)"
        results[key].append((question, [_of_hit(hit) for hit in shipped]))
    return results


def _merged(ranking: list[tuple[int, float]], stored: dict[int, StoredChunk]) -> list[Found]:
    """Passages as `Retriever` makes them."""
    k = max(DEPTHS)
    found = lifted([(stored[i], score) for i, score in ranking[: MERGED * k]])
    passages = spread(merge(found, round(JOINING * k)), k)
    return [
        Found(
            _name(passage.best),
            passage.members[0].chunk.page_start,
            passage.members[-1].chunk.page_end,
        )
        for passage in passages
    ]


def _of_chunk(stored: StoredChunk) -> Found:
    return Found(_name(stored), stored.chunk.page_start, stored.chunk.page_end)


def _of_hit(hit: Hit) -> Found:
    return Found(_name(hit.chunk), hit.page_start, hit.page_end)


def _name(stored: StoredChunk) -> str:
    return Path(stored.source_uri.split("#")[0]).name


def _counts(question: sets.Asked, found: Found) -> bool:
    """Whether a hit is one of what the question cites."""
    for file, page in question.cited:
        within = page is None or (
            found.page_start is not None
            and found.page_end is not None
            and found.page_start <= page <= found.page_end
        )
        if file == found.file and within:
            return True
    return False


def _share(results: Iterable[tuple[sets.Asked, list[Found]]], k: int) -> float:
    hits = [any(_counts(question, one) for one in found[:k]) for question, found in results]
    return sum(hits) / len(hits)


def _print_hits(name: str, results: Results) -> None:
    base = [_share(results[BASELINE], k) for k in DEPTHS]
    rows: list[list[Cell]] = []
    for way, judged in results.items():
        shares = [_share(judged, k) for k in DEPTHS]
        pages = [length for _, found in judged for one in found for length in _n_pages(one)]
        mean_pages = sum(pages) / len(pages) if pages else None
        first = shares[0] / base[0] if base[0] else None
        rows.append([way, *shares, first, mean_pages])
    header = (f"{name}: found among the first", "1", "5", "10", "@1 × naive", "pages of a hit")
    print_table(header, rows)
    n = len(results[BASELINE])
    print_line(f"{n} questions; one more or less is {1 / n:.3f}. Baseline: {BASELINE}.")


def _n_pages(found: Found) -> Iterator[int]:
    if found.page_start is not None and found.page_end is not None:
        yield found.page_end - found.page_start + 1


def _print_label_noise(parts: Parts, asked: Sequence[sets.Asked]) -> None:
    """How far the page whose words best cover the gold answer lies from the page it cites."""
    pages = _page_words(parts)
    rarity = _idf(words_of for by_page in pages.values() for words_of in by_page.values())
    offsets: Counter[str] = Counter()
    for question in asked:
        for file, gold in question.cited:
            if file in pages and gold is not None:
                best = _best_page(pages[file], set(words(question.answers[0])), rarity, gold)
                offsets[_offset(best - gold)] += 1
    total = sum(offsets.values())
    order = ("-2 or less", "-1", "0", "+1", "+2 or more")
    rows: list[list[Cell]] = [[name, offsets[name], offsets[name] / total] for name in order]
    header = ("contoso: page that best covers the gold answer, from the page cited", "n", "share")
    print_table(header, rows)
    print_line("Words weighted by rarity; where pages tie, the cited page counts.")


def _page_words(parts: Parts) -> dict[str, dict[int, set[str]]]:
    """File name -> page -> its words."""
    found = {}
    for document in parts.store.list_documents(parts.access, limit=1000):
        text = parts.store.text(parts.access, document.id)
        found[Path(document.source_uri).name] = {
            page.number: set(words(text[page.char_start : page.char_end]))
            for page in parts.store.pages(parts.access, document.id)
        }
    return found


def _idf(pages: Iterable[set[str]]) -> dict[str, float]:
    counts: Counter[str] = Counter()
    n_pages = 0
    for page in pages:
        counts.update(page)
        n_pages += 1
    return {word: math.log(1 + n_pages / n) for word, n in counts.items()}


def _best_page(
    pages: dict[int, set[str]], answer: set[str], rarity: dict[str, float], gold: int
) -> int:
    def covered(number: int) -> tuple[float, bool]:
        return round(sum(rarity.get(word, 0.0) for word in answer & pages[number]), 6), (
            number == gold
        )

    return max(pages, key=covered)


def _offset(pages: int) -> str:
    if abs(pages) > 1:
        return "+2 or more" if pages > 0 else "-2 or less"
    return f"{pages:+d}" if pages else "0"
