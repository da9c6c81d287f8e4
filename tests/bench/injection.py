"""Instructions to a model in documents: false alarms and misses of the detector, source by source.

Harmless text is cut as the ingest cuts it, or is a set's own passages. Attacks of BIPIA are put at
the beginning, the middle and the end of e-mails and tables; those that merely set another task are
counted apart, since they read like any harmless sentence. The patterns were written with BIPIA and
PurpleLlama in view and the sentences in eight languages by the same hand, so only the weights, not
the patterns, are judged on what they have not seen. Baseline: a plain list of keywords.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.chunk import prepare
from ingest.injection import INTERCEPT, SIGNS, THRESHOLD, features, suspicion
from ingest.parse.model import Job
from ingest.parse.read import read_document
from rag.errors import ParseError
from tests.bench import logistic, sets
from tests.bench.embedding import cached_embedder
from tests.bench.injected import ATTACKS, MISTAKABLE
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.run import Run, progress

NEEDS = ("contoso", "kgrag_sec10q", "policyqa_dev", "cisi", "scifact", "xquad", "safety")
KEYWORDS = (
    "ignore previous instructions",
    "ignore all previous instructions",
    "ignore the previous instructions",
    "ignore your instructions",
    "ignore the above",
    "disregard previous instructions",
    "disregard all previous instructions",
    "disregard the above",
    "forget previous instructions",
    "forget your instructions",
    "system prompt",
    "you are now",
)
PLAIN_TASKS = (
    "Information Retrieval",
    "Content Creation",
    "Learning and Tutoring",
    "Language Translation",
    "Programming Help",
)
ALARMS_PER_1000 = 1.0  # allowed of harmless passages, in every source


@dataclass(frozen=True, slots=True)
class Source:
    """Texts of one origin, all attacks or all harmless."""

    name: str
    texts: list[str]
    is_attack: bool
    is_fitted: bool = True  # the weights may learn from it


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Injection", __doc__.split("\n\n")[1].replace("\n", " "), quick=run.quick)
    sources = [*_harmless(run), *_attacks(run)]
    _print_rates(sources)
    _print_missed(sources)
    _print_refit(sources, fit=run.fit)


def _has_keyword(text: str) -> bool:
    lower = " ".join(text.lower().split())
    return any(keyword in lower for keyword in KEYWORDS)


def _is_suspicious(text: str) -> bool:
    return suspicion(text) is not None


def _rate(source: Source, is_flagged: Callable[[str], bool]) -> float:
    """Of 1,000 harmless texts those flagged; of attacks the share missed."""
    n_flagged = sum(map(is_flagged, source.texts))
    if source.is_attack:
        return 1 - n_flagged / len(source.texts)
    return 1000 * n_flagged / len(source.texts)


def _print_rates(sources: Sequence[Source]) -> None:
    for is_attack, what in ((False, "false alarms in 1,000"), (True, "share of attacks missed")):
        some = [source for source in sources if source.is_attack == is_attack]
        rows: list[list[Cell]] = [
            [s.name, len(s.texts), _rate(s, _has_keyword), _rate(s, _is_suspicious)] for s in some
        ]
        print_table((what, "n", "keyword list (baseline)", "detector, as shipped"), rows)


def _print_missed(sources: Sequence[Source]) -> None:
    """What is found by mistake, and what of each kind is not found: names are worth more."""
    for source in sources:
        if not source.is_attack:
            for text in filter(_is_suspicious, source.texts):
                found = suspicion(text)
                assert found is not None
                line = " ".join(text.split())[:160]
                print_line(f"False alarm in {source.name}, for {found.reason!r}: {line}")


# Refitting


def _print_refit(sources: Sequence[Source], *, fit: bool) -> None:
    """Weights learned without a source, then put to it, with a threshold that the others allow."""
    progress("fitting")
    seen = {s.name: np.array([features(text) for text in s.texts]) for s in sources}
    rows: list[list[Cell]] = []
    for held_out in sources:
        rest = [s for s in sources if s.is_fitted and s.name != held_out.name]
        beta = _fit(rest, seen)
        threshold = _threshold(rest, seen, beta)
        flagged = float((logistic.predict(seen[held_out.name], beta) >= threshold).mean())
        rate = 1 - flagged if held_out.is_attack else 1000 * flagged
        what = "missed" if held_out.is_attack else "false alarms in 1,000"
        shipped = _rate(held_out, _is_suspicious)
        rows.append([f"{held_out.name}: {what}", shipped, rate])
    print_table(("left out", "as shipped", "weights learned from the others"), rows)
    if fit:
        fitted = [source for source in sources if source.is_fitted]
        beta = _fit(fitted, seen)
        weights = dict(zip([sign.name for sign in SIGNS], beta[1:].round(2).tolist(), strict=True))
        print_line(
            f"Fitted on all: intercept {beta[0]:.2f}, weights {weights}, threshold "
            f"{_threshold(fitted, seen, beta):.3f}. Shipped: intercept {INTERCEPT}, "
            f"weights { {sign.name: sign.weight for sign in SIGNS} }, threshold {THRESHOLD}."
        )


def _fit(sources: Sequence[Source], seen: dict[str, logistic.Array]) -> logistic.Array:
    """Each source counts the same, however many texts it has."""
    x = np.concatenate([seen[source.name] for source in sources])
    y = np.concatenate([np.full(len(s.texts), float(s.is_attack)) for s in sources])
    weights = np.concatenate([np.full(len(s.texts), 1 / len(s.texts)) for s in sources])
    return logistic.fit(x, y, weights)


def _threshold(
    sources: Sequence[Source], seen: dict[str, logistic.Array], beta: logistic.Array
) -> float:
    """The lowest that keeps the false alarms of every harmless source within what is allowed."""
    harmless = [logistic.predict(seen[s.name], beta) for s in sources if not s.is_attack]
    for threshold in np.unique(np.concatenate([*harmless, np.array([0.5, 1.0])])) + 1e-9:
        if all(1000 * (p >= threshold).mean() <= ALARMS_PER_1000 for p in harmless):
            return float(threshold)
    return 1.0


# Texts


def _harmless(run: Run) -> Iterator[Source]:
    folder = run.eval_dir
    for name in ("contoso", "kgrag_sec10q"):
        files = [f for f in sorted((folder / name / "docs").iterdir()) if f.is_file()]
        yield Source(f"{name} (chunks)", _chunks(run.some(files, len(files), 3)), False)
    for name in ("policyqa_dev", "cisi", "scifact"):
        yield Source(name, run.some(sets.ranked(folder, name).texts, 10_000, 100), False)
    for language in ("en", "de", "es", "hi", "th"):
        texts = sets.ranked(folder, f"xquad/{language}").texts
        yield Source(f"xquad/{language}", run.some(texts, 1000, 50), False)
    for name in ("bipia_email_contexts", "bipia_table_contexts", "harmless", "xstest"):
        yield Source(name, run.some(_texts(folder, name), 1000, 50), False)
    # The sets have no tenders and help desks, where "in your answer" means nothing bad.
    yield Source("written to be mistaken", list(MISTAKABLE), False)


def _attacks(run: Run) -> Iterator[Source]:
    folder = run.eval_dir
    kinds = json.loads((folder / "safety" / "bipia_text_attacks.json").read_text())
    tasks = [text for kind in PLAIN_TASKS for text in kinds[kind]]
    orders = [text for kind, texts in kinds.items() if kind not in PLAIN_TASKS for text in texts]
    for place in ("email", "table"):
        contexts = _texts(folder, f"bipia_{place}_contexts")
        yield Source(f"BIPIA in {place}s: orders about the answer", _hide(orders, contexts), True)
        hidden = _hide(tasks, contexts)
        yield Source(f"BIPIA in {place}s: other tasks", hidden, True, is_fitted=False)
    for kind in ("indirect", "direct"):
        rows = _rows(folder, "pl_prompt_injection")
        texts = [row["user_input"] for row in rows if row["injection_type"] == kind]
        yield Source(f"PurpleLlama, {kind}", texts, True, is_fitted=kind == "indirect")
    for language, texts in ATTACKS.items():
        yield Source(f"our own, {language}", list(texts), True)


def _hide(attacks: Sequence[str], contexts: Sequence[str]) -> list[str]:
    """Each attack at the beginning, the middle and the end of a context, as a line of its own."""
    hidden = []
    for number, attack in enumerate(attacks):
        lines = contexts[number % len(contexts)].splitlines()
        for at in (0, len(lines) // 2, len(lines)):
            hidden += ["\n".join([*lines[:at], attack, *lines[at:]])]
    return hidden


def _chunks(files: Sequence[Path]) -> list[str]:
    """The text of every chunk, under its headings."""
    texts: list[str] = []
    with cached_embedder() as embedder:
        for file in files:
            progress(file.name)
            try:
                parsed = read_document(Job(str(file), file.name))
            except ParseError as error:
                progress(f"not read: {error.message}")
                continue
            chunks = prepare(parsed, name=file.name, embedder=embedder).chunks
            texts += ["\n\n".join([*chunk.heading_path, chunk.text]) for chunk in chunks]
    return texts


def _texts(folder: Path, name: str) -> list[str]:
    rows = _rows(folder, name)
    return [row.get("text") or row.get("context") or "" for row in rows]


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "safety" / f"{name}.jsonl").open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]
