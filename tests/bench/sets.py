"""The evaluation sets as records."""

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CITED = re.compile(r"\[[^\[\]]*#page=\d+\]")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what is known of its answer."""

    text: str
    answers: tuple[str, ...] = ()
    cited: tuple[tuple[str, int | None], ...] = ()  # file name and page
    answerable: bool = True


@dataclass(frozen=True, slots=True)
class Ranked:
    """A set in the BEIR layout."""

    ids: list[str]
    titles: list[str]
    texts: list[str]
    queries: dict[str, str]
    relevant: dict[str, dict[str, int]]  # query -> document -> grade


def contoso(folder: Path) -> list[Asked]:
    """Questions to the Contoso documents, those without an answer last."""
    return [
        Asked(
            text=query["text"],
            answers=(_CITED.sub("", query["metadata"].get("answer", "")),),
            cited=tuple((file, page) for file, page in query["metadata"].get("citations", ())),
            answerable=query["metadata"]["answerable"],
        )
        for query in _lines(folder / "contoso" / "queries.jsonl")
    ]


def kgrag(folder: Path) -> list[Asked]:
    """Questions to the quarterly reports, with the reports that the answers cite."""
    files: dict[str, list[tuple[str, int | None]]] = defaultdict(list)
    for query, file, _ in _rows(folder / "kgrag_sec10q" / "qrels_docs.tsv"):
        files[query].append((file, None))
    queries = _lines(folder / "kgrag_sec10q" / "queries.jsonl")
    return [
        Asked(query["text"], (query["metadata"]["answer"],), tuple(files[query["_id"]]))
        for query in queries
        if query["_id"] in files
    ]


def spans(folder: Path, name: str) -> list[Asked]:
    """Questions whose answers are strings of the text: the XQuAD languages and PolicyQA."""
    queries = _lines(folder / name / "queries.jsonl")
    return [Asked(query["text"], tuple(query["metadata"]["answers"])) for query in queries]


def ranked(folder: Path, name: str) -> Ranked:
    """A whole set with its judgements."""
    corpus = _lines(folder / name / "corpus.jsonl")
    relevant: dict[str, dict[str, int]] = defaultdict(dict)
    for query, document, grade in _rows(folder / name / "qrels.tsv"):
        if float(grade) > 0:
            relevant[query][document] = int(float(grade))
    queries = {q["_id"]: q["text"] for q in _lines(folder / name / "queries.jsonl")}
    return Ranked(
        ids=[document["_id"] for document in corpus],
        titles=[document.get("title", "") for document in corpus],
        texts=[document["text"] for document in corpus],
        queries={key: queries[key] for key in relevant if key in queries},
        relevant=dict(relevant),
    )


def _lines(file: Path) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def _rows(file: Path) -> list[list[str]]:
    """The rows of a table after its header."""
    return [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()[1:]]
