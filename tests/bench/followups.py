"""Follow-ups without an engine: are they told from questions that stand alone, and then found?

Follow-ups are ours, over the sample documents (tests/bench/conversations.py); the rule is
`rag.answer.leaning`. The baseline searches for the follow-up as it was asked. Questions of public
sets stand alone: each is asked after the one before it, and what the rule changes is wrong, but for
XQuAD, where some questions speak of "this hymn" or "he" and are changed rightly.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.answer.evidence import evidence
from rag.answer.extract import Question, candidates
from rag.answer.leaning import alone, leans_on
from rag.answer.pipeline import RETRIEVED
from tests.bench import sets
from tests.bench.conversations import (
    Asked,
    changes_of_subject,
    follow_ups,
    recognised_only,
)
from tests.bench.embedding import cached_embedder
from tests.bench.questions import QUESTIONS
from tests.bench.report import Cell, print_heading, print_line, print_table
from tests.bench.run import REPOSITORY, Run, scratch
from tests.bench.stores import Parts, ingested

NEEDS = ("contoso", "kgrag_sec10q", "xquad")
XQUAD = ("en", "de", "es", "hi", "th")
EXAMPLES = REPOSITORY / "examples"
WAYS: dict[str, Callable[[Asked], str]] = {
    "as asked (baseline)": lambda asked: asked.question,
    "**by the rule**": lambda asked: alone(asked.question, asked.earlier),
}


@dataclass(frozen=True, slots=True)
class Searched:
    """What became of one question."""

    rank: int  # of the right document, RETRIEVED + 1 where it isn't among the hits
    evidence: float


def main(run: Run) -> None:
    """Print the section."""
    print_heading("Follow-ups", __doc__.split("\n\n", 1)[1].replace("\n", " "), quick=run.quick)
    _print_recognised()
    _print_changed(run)
    with (
        scratch() as folder,
        cached_embedder() as embedder,
        ingested(folder / "data", embedder, EXAMPLES / "documents") as parts,
    ):
        _print_found(parts, "follow-ups", follow_ups())
        _print_found(parts, "changes of subject", changes_of_subject())


def _print_recognised() -> None:
    asked = [*follow_ups(), *recognised_only()]
    languages = list(dict.fromkeys(one.language for one in asked))
    rows: list[list[Cell]] = [
        _recognised(language, [one for one in asked if one.language == language])
        for language in languages
    ]
    rows.append(_recognised("**all**", asked))
    print_table(("follow-ups", "n", "recognised"), rows)


def _recognised(name: str, asked: Sequence[Asked]) -> list[Cell]:
    found = [leans_on(one.question, one.earlier[-1]) for one in asked]
    return [name, len(found), sum(found) / len(found)]


def _print_changed(run: Run) -> None:
    rows: list[list[Cell]] = []
    for name, questions in _standing_alone(run.eval_dir).items():
        before = [questions[-1], *questions]
        n_changed = sum(map(leans_on, questions, before))
        rows.append([name, len(questions), n_changed, n_changed / len(questions)])
    print_table(("questions that stand alone", "n", "changed", "share"), rows)


def _standing_alone(eval_dir: Path) -> dict[str, list[str]]:
    lines = (EXAMPLES / "questions.jsonl").read_text("utf-8").splitlines()
    return {
        "examples": [json.loads(line)["question"] for line in lines],
        "contoso": [one.text for one in sets.contoso(eval_dir)],
        "kgrag_sec10q": [one.text for one in sets.kgrag(eval_dir)],
        "ours, eight languages": [
            question for of in QUESTIONS.values() for question in of.strip().split("\n")
        ],
        **{
            f"xquad/{name}": list(sets.ranked(eval_dir, f"xquad/{name}").queries.values())
            for name in XQUAD
        },
    }


def _print_found(parts: Parts, name: str, asked: Sequence[Asked]) -> None:
    rows: list[list[Cell]] = []
    for way, query_of in WAYS.items():
        found = [_search(parts, query_of(one), one.file) for one in asked]
        rows.append([way, *(_share(one.rank <= k for one in found) for k in (1, 5, RETRIEVED))])
        threshold = parts.settings.answer_threshold
        rows[-1].append(_share(one.evidence >= threshold for one in found))
    print_line(f"{len(asked)} {name} over the sample documents:")
    print_table(("searched", "right document first", "in 5", f"in {RETRIEVED}", "quoted"), rows)


def _share(right: Iterable[bool]) -> float:
    values = list(right)
    return sum(values) / len(values)


def _search(parts: Parts, query: str, file: str | None) -> Searched:
    result = parts.retriever.retrieve(query, parts.access, RETRIEVED)
    lexical = parts.indexes.lexical
    question = Question.of(query, result.vector, result.hits, lexical, parts.access)
    scored = candidates(question, result.hits, parts.embedder, lexical)
    ranks = [hit.rank for hit in result.hits if hit.chunk.source_uri.endswith(f"/{file}")]
    found = evidence(result.hits, scored, question.naming.lacking)
    return Searched(ranks[0] if ranks else RETRIEVED + 1, found)
