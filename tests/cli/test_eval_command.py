import json
import re
from pathlib import Path

import pytest
from commands import Citadel

LINES = (
    {"_id": "hotel", "title": "Travel", "text": "A hotel in London costs up to 180 pounds."},
    {"_id": "canteen", "title": "", "text": "The canteen opens at half past eleven."},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set in the BEIR layout."""
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in LINES))
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "When does the canteen open?"}\n')
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\tcanteen\t1\n")
    return folder


def test_a_set_is_measured_kept_compared_and_drawn(citadel: Citadel, folder: Path) -> None:
    saved, page = folder / "saved.json", folder / "page.html"

    first = citadel("eval", "retrieval", folder, "--json", "--save", saved)
    second = citadel("eval", "retrieval", folder, "--against", saved, "--html", page)

    assert (first.code, second.code) == (0, 0)
    assert {"set", "questions", "branches", "seconds"} <= first.json.keys()
    assert first.json["branches"]["fused"]["mrr"] == 1.0
    assert "asking 1 question" in first.err
    assert second.out.startswith("set: 1 questions in ")
    assert f"Against {saved}, 1 questions in common" in second.out
    assert not (citadel.data_dir / "citadel.db").exists(), "the site has none of it"
    assert not list_of_addresses(page.read_text())


def list_of_addresses(page: str) -> list[str]:
    """What a browser would fetch, or follow."""
    named = re.findall(r"""(?:src|href|data|action)\s*=\s*["']([^"'#][^"']*)""", page)
    styled = re.findall(r"url\(\s*[\"']?([^#\"')][^)]*)|@import", page)
    return [*named, *styled, *re.findall(r"https?://[^\s<\"']+|<script", page)]


def test_own_questions_are_put_to_the_site(filled: Citadel, tmp_path: Path) -> None:
    file = tmp_path / "ours.jsonl"
    asked = (
        {"question": "How much may a hotel in London cost?", "file": "travel.md"},
        {"question": "Which insurance covers the chairman's racehorse?", "answerable": False},
    )
    file.write_text("".join(f"{json.dumps(line)}\n" for line in asked))

    run = filled("eval", "answers", file, "--json")
    refused = filled("eval", "answers", file, "--calibrate")

    assert run.code == 0
    told = run.json
    assert (told["answered"], told["abstained_rightly"], told["citation_recall"]) == (0.5, 1.0, 1.0)
    assert told["latency_p50_ms"] > 0
    assert (refused.code, refused.out) == (2, "")
    assert "1 answerable and 1 unanswerable questions are too few" in refused.err


def test_what_is_wrong_is_one_line_that_names_the_file(citadel: Citadel, folder: Path) -> None:
    (folder / "corpus.jsonl").write_text('{"_id": "a", "text": "b"}\nnothing\n')
    run = citadel("eval", "retrieval", folder, "--json")
    assert (run.code, run.out) == (2, "")
    assert f"citadel: {folder}/corpus.jsonl, line 2: this is not JSON" in run.err

    nothing = citadel("eval", "retrieval", folder, "--against", folder / "none.json")
    assert (nothing.code, nothing.out) == (2, "")
    assert "there is no file" in nothing.err
