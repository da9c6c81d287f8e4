"""Does the search find what it should? Every set through `citadel eval retrieval`, beside the aims.

All sets by the product's own parser, chunker and search with its shipped settings, as `citadel eval
retrieval` runs them, constants chosen on all of them at once. nDCG@10 counts documents by their
best chunk; a page or document hit and the characters are those of the passages that a user gets.
The baseline of the characters is windows of 200 words of the raw text, five of them, found by the
same model and plain BM25 (weighted sum, dense .6).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from rag.eval.report import Report
from rag.eval.retrieval import evaluate
from rag.eval.spans import recall_precision
from rag.search.embed import Embedder
from rag.settings import load_settings
from tests.bench.embedding import cached_embedder, model_home
from tests.bench.fusions import min_max
from tests.bench.naive import CANDIDATES, DENSE_WEIGHT, PlainBm25, PlainDense
from tests.bench.plain import WINDOW
from tests.bench.report import Cell, print_heading, print_table
from tests.bench.run import Run, progress

NEEDS = ("scifact", "cisi", "policyqa_dev", "xquad", "contoso", "kgrag_sec10q", "chunking_eval")
LANGUAGES = ("en", "de", "es", "hi", "th")
RANKED = ("scifact", "cisi", "policyqa_dev", *(f"xquad/{language}" for language in LANGUAGES))
AIMS = {"scifact": 0.74, "cisi": 0.42, "policyqa_dev": 0.32}
HITS = {
    ("contoso", "page_hit"): (0.70, 0.92, 0.96),
    ("kgrag_sec10q", "document_hit"): (0.60, 0.90, 0.97),
}
DEPTHS = (1, 5, 10)
PASSAGES = 5

Piece = tuple[str, tuple[int, int]]  # a file and a span of it


def main(run: Run) -> None:
    """Print the section."""
    what = " ".join(__doc__.split("\n\n")[1].split())
    print_heading("What the search finds", what, quick=run.quick)
    with cached_embedder() as embedder:
        _print_ranked(run, embedder)
        if not run.quick:
            _print_hits(run, embedder)
        _print_characters(run, embedder)


def _evaluated(run: Run, name: str, embedder: Embedder) -> Report:
    progress(name)
    return evaluate(run.eval_dir / name, load_settings(data_dir=model_home()), embedder)


def _mean(report: Report, metric: str) -> float:
    return fmean(report.values[metric].values())


def _print_ranked(run: Run, embedder: Embedder) -> None:
    rows: list[list[Cell]] = []
    for name in run.pick(RANKED, RANKED[3:4]):
        report = _evaluated(run, name, embedder)
        dense, lexical, fused = (
            _mean(report, f"{branch}/ndcg@10") for branch in ("dense", "lexical", "fused")
        )
        aim = AIMS.get(name)
        ratio = fused / max(dense, lexical)
        rows.append([name, len(report.asked), dense, lexical, fused, ratio, aim])
    header = ("nDCG@10", "questions", "dense", "lexical", "fused", "fused × better branch", "aim")
    print_table(header, rows)


def _print_hits(run: Run, embedder: Embedder) -> None:
    rows: list[list[Cell]] = []
    for (name, metric), aims in HITS.items():
        report = _evaluated(run, name, embedder)
        figures = [_mean(report, f"{metric}@{k}") for k in DEPTHS]
        rows += [[f"{name}, {metric}", *figures], [f"{name}, aim", *aims]]
    print_table(("found among the first", *map(str, DEPTHS)), rows)


def _print_characters(run: Run, embedder: Embedder) -> None:
    report = _evaluated(run, "chunking_eval", embedder)
    recall, precision = _windows(run.eval_dir / "chunking_eval", embedder)
    ours = _mean(report, "span_recall"), _mean(report, "span_precision")
    rows: list[list[Cell]] = [
        [f"windows of {WINDOW} words (baseline)", recall, precision, 1.0, 1.0],
        ["passages as a user gets them", *ours, ours[0] / recall, ours[1] / precision],
    ]
    header = ("chunking_eval: characters of the first five", "recall", "precision", "×", "×")
    print_table(header, rows)


def _windows(folder: Path, embedder: Embedder) -> tuple[float, float]:
    """Mean recall and precision of the first five windows."""
    files = {file.name: file.read_text(encoding="utf-8") for file in (folder / "docs").iterdir()}
    pieces = [(name, span) for name, text in files.items() for span in _cut(text)]
    texts = [files[name][start:end] for name, (start, end) in pieces]
    dense, lexical = PlainDense(embedder.encode(texts)), PlainBm25(texts)
    recalls, precisions = [], []
    for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines():
        question = json.loads(line)
        gold = question["metadata"]
        by_dense = dense.search(embedder.encode([question["text"]])[0], CANDIDATES)
        found = min_max(by_dense, lexical.search(question["text"], CANDIDATES), DENSE_WEIGHT)
        wanted: list[Piece] = [(gold["doc"], (start, end)) for start, end in gold["spans"]]
        recall, precision = recall_precision([pieces[row] for row, _ in found[:PASSAGES]], wanted)
        recalls.append(recall)
        precisions.append(precision)
    return fmean(recalls), fmean(precisions)


def _cut(text: str) -> Iterator[tuple[int, int]]:
    words = [match.span() for match in re.finditer(r"\S+", text)]
    for at in range(0, len(words), WINDOW):
        part = words[at : at + WINDOW]
        yield part[0][0], part[-1][1]
