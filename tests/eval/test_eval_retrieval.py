from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path

import msgspec
import numpy as np
import pytest
from made_models import made_cross_encoder
from msgspec.structs import replace as replace_struct
from numpy.typing import NDArray
from small_sets import ASKED, ENTRIES, NOTES, write_beir, write_files, write_lines

from rag.errors import BadRequest
from rag.eval.filling import ReadOnce
from rag.eval.report import Report, compare, load, report_json, save
from rag.eval.retrieval import evaluate
from rag.search.embed import Embedder
from rag.search.rerank import load_reranker
from rag.settings import Settings

BRANCHES = {"dense", "lexical", "fused"}
RANKED = {"ndcg@10", "recall@10", "recall@100", "mrr"}
HITS = {f"document_hit@{k}" for k in (1, 5, 10)}


@pytest.fixture(scope="module")
def beir(tmp_path_factory: pytest.TempPathFactory, model_home: Path, embedder: Embedder) -> Report:
    folder = write_beir(tmp_path_factory.mktemp("beir") / "small")
    return evaluate(folder, Settings(data_dir=model_home), embedder)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, model_home: Path, embedder: Embedder) -> Report:
    folder = write_files(tmp_path_factory.mktemp("files") / "office")
    roundabout = folder / ".." / folder.name
    return evaluate(roundabout, Settings(data_dir=model_home), embedder)


def test_a_beir_set_gives_four_figures_for_each_branch(beir: Report) -> None:
    told = report_json(beir)

    assert (told["set"], told["questions"]) == ("small", 3)
    assert told["branches"].keys() == BRANCHES
    assert all(branch.keys() == RANKED for branch in told["branches"].values())
    assert told["branches"]["fused"]["mrr"] == 1.0, "each has its document first"
    assert told["seconds"] > 0
    assert not {"page_hit@1", "span_recall"} & told.keys(), "there is no such gold"


def test_a_reranker_is_a_branch_of_its_own_and_what_a_user_gets(
    tmp_path: Path, model_home: Path, embedder: Embedder
) -> None:
    (tmp_path / "reranker").mkdir()
    model_dir = made_cross_encoder(tmp_path / "reranker", ["relevant"])
    settings = Settings(data_dir=model_home, rerank_model_dir=model_dir)
    report = evaluate(write_beir(tmp_path / "small"), settings, embedder)
    told = report_json(report)
    assert told["branches"].keys() == BRANCHES | {"reranked"}
    assert told["branches"]["fused"]["mrr"] == 1.0, "as without it"
    first = {question: report.values["document_hit@1"][question] for question in report.asked}
    assert first == {q: float(report.values["reranked/mrr"][q] == 1) for q in report.asked}
    assert told["about"]["reranker"] == "reranker"


def test_a_reranker_reads_a_text_once_for_a_question(tmp_path: Path) -> None:
    model = load_reranker(made_cross_encoder(tmp_path, ["relevant"]))
    read: list[tuple[str, tuple[str, ...]]] = []

    class Told:
        def scores(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
            read.append((query, tuple(texts)))
            return model.scores(query, texts)

    once = ReadOnce(Told())
    for query, texts in (("a", "xy"), ("a", "yzx"), ("a", "xx"), ("b", "x")):
        np.testing.assert_allclose(once.scores(query, texts), model.scores(query, texts), atol=1e-6)

    assert read == [("a", ("x", "y")), ("a", ("z",)), ("b", ("x",))]


def test_every_figure_has_an_interval_around_it(beir: Report) -> None:
    told = report_json(beir)
    for branch, figures in told["branches"].items():
        for metric, value in figures.items():
            low, high = told["intervals"]["branches"][branch][metric]
            assert low <= value <= high


def test_an_entry_with_a_title_only_is_found_by_it(beir: Report) -> None:
    assert beir.values["dense/mrr"]["q3"] == 1.0


def test_questions_without_judgement_are_not_asked_and_that_is_said(beir: Report) -> None:
    assert "q4" not in beir.asked
    assert beir.notes == ["1 questions are not asked: nothing is known to be right for them"]


def test_files_give_pages_documents_and_spans(files: Report) -> None:
    told = report_json(files)

    assert told["questions"] == 4, "what is unanswerable is not searched for"
    assert told["branches"].keys() == BRANCHES
    assert told.keys() >= HITS
    assert files.values["page_hit@1"] == {"p1": 1.0, "p2": 0.0}, "p2 cites a page that is not there"
    assert files.values["document_hit@1"]["d1"] == 1.0, "capitals of a name don't count"
    assert files.values["span_recall"] == {"s1": 1.0}
    assert 0 < files.values["span_precision"]["s1"] < 1


def test_the_characters_of_a_mail_are_not_looked_for_in_its_attachment(
    tmp_path: Path, settings: Settings, embedder: Embedder
) -> None:
    message = EmailMessage()
    message["Subject"], message["From"] = "Parking", "ada@example.com"
    message.set_content("Visitors park behind the house. The barrier opens with a code.\n")
    message.add_attachment(b"Visitors feed the fish at noon.", "text", "plain", filename="a.txt")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "mail.eml").write_bytes(message.as_bytes())
    at = message.as_string().index("Visitors")
    asked = {"_id": "s1", "text": "Where do visitors park?"}
    asked |= {"metadata": {"doc": "mail.eml", "spans": [[at, at + 31]]}}
    write_lines(tmp_path / "queries.jsonl", [asked])
    report = evaluate(tmp_path, settings, embedder)
    assert report.values["span_recall"] == {"s1": 1.0}


def test_spans_of_a_pdf_are_known_by_their_text(
    tmp_path: Path, settings: Settings, embedder: Embedder
) -> None:
    folder = write_files(tmp_path / "office")
    asked = [
        {"_id": "t", "text": "When is overtime paid out?", "doc": "handbook.pdf"},
        {"_id": "o", "text": "How long are invoices kept?", "doc": "handbook.pdf"},
    ]
    asked[0]["references"] = ["Overtime is paid out in March, at the rate"]  # type: ignore[assignment]
    asked[1]["spans"] = [[10, 20]]  # type: ignore[assignment]
    write_lines(folder / "queries.jsonl", asked)
    report = evaluate(folder, settings, embedder)
    assert report.values["span_recall"] == {"t": 1.0}
    assert 0 < report.values["span_precision"]["t"] < 1
    assert any(note.startswith("1 gold spans do not count") for note in report.notes)


def test_a_name_that_several_files_have_is_told_with_them(
    tmp_path: Path, settings: Settings, embedder: Embedder
) -> None:
    folder = write_files(tmp_path / "office")
    for place in ("berlin", "madrid"):
        (folder / "docs" / place).mkdir()
        (folder / "docs" / place / "rules.md").write_text("# Rules\n\nThe gate closes at six.\n")
    asked = [
        {"_id": "a", "text": "When does the gate close?", "cited": ["rules.md"]},
        {"_id": "b", "text": "When does the gate close?", "cited": ["madrid/rules.md"]},
    ]
    write_lines(folder / "queries.jsonl", asked)
    report = evaluate(folder, settings, embedder)
    assert report.asked.keys() == {"b"}
    (note,) = (note for note in report.notes if "could be several" in note)
    assert "rules.md is each of berlin/rules.md, madrid/rules.md" in note


def test_a_file_that_cannot_be_read_is_named(files: Report) -> None:
    assert "1 files could not be read: broken.pdf" in files.notes


def test_gold_that_no_passage_can_be_of_is_told_and_counts_as_not_found(files: Report) -> None:
    [note] = [note for note in files.notes if "gold places" in note]
    assert note.endswith("count as not found: handbook.pdf, page 9")


def test_the_hardest_question_is_told_with_what_was_wanted_and_found(files: Report) -> None:
    [hard] = files.hardest
    assert (hard.question, hard.wanted) == ("p2", ["handbook.pdf, page 9"])
    assert hard.found[0].document == "handbook.pdf" and not hard.found[0].right


def test_the_site_is_left_as_it_was(tmp_path: Path, settings: Settings, embedder: Embedder) -> None:
    before = sorted(settings.data_dir.iterdir())
    evaluate(write_beir(tmp_path / "small"), settings, embedder)
    assert sorted(settings.data_dir.iterdir()) == before


def test_corpus_and_files_in_one_set_are_both_judged(
    tmp_path: Path, settings: Settings, embedder: Embedder
) -> None:
    folder = write_files(tmp_path / "both")
    write_lines(folder / "corpus.jsonl", [{"_id": 1, "text": NOTES[:90]}, *ENTRIES])
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("s1\t1\t1\n")

    values = evaluate(folder, settings, embedder).values

    assert values["fused/mrr"].keys() == {"s1"}, "branches are judged over the corpus"
    assert values["page_hit@5"].keys() == {"p1", "p2"}


def test_a_set_whose_gold_is_all_missing_is_refused(
    tmp_path: Path, settings: Settings, embedder: Embedder
) -> None:
    folder = write_files(tmp_path / "elsewhere")
    write_lines(folder / "queries.jsonl", [{"text": "Where?", "cited": ["lost.pdf"]}])
    with pytest.raises(BadRequest, match="nothing in elsewhere can be judged") as caught:
        evaluate(folder, settings, embedder)
    assert "lost.pdf" in caught.value.hint


def test_a_document_that_is_the_question_itself_is_no_find(
    tmp_path: Path, settings: Settings, embedder: Embedder
) -> None:
    folder = write_beir(tmp_path / "duplicates")
    write_lines(folder / "corpus.jsonl", [*ENTRIES, {"_id": "q2", "text": ASKED[1]["text"]}])
    report = evaluate(folder, settings, embedder)
    assert report.values["dense/mrr"]["q2"] == 1.0


def test_a_report_of_the_other_command_is_not_compared_with(beir: Report) -> None:
    other = msgspec.structs.replace(beir, kind="answers")
    with pytest.raises(BadRequest, match="is one of `citadel eval answers`"):
        compare(beir, other)


def test_a_saved_report_is_read_back_and_compared(
    tmp_path: Path, beir: Report, files: Report
) -> None:
    save(beir, tmp_path / "saved.json")
    again = load(tmp_path / "saved.json")

    assert again == beir
    other = replace_struct(beir, about=beir.about | {"gold": "another"})
    assert compare(other, again).changed == {"gold": (beir.about["gold"], "another")}
    told = report_json(beir, compare(beir, again, "saved.json"))["compared"]
    assert (told["against"], told["questions"], told["changed"]) == ("saved.json", 3, {})
    assert told["branches"]["fused"]["mrr"] == {
        "before": 1.0,
        "after": 1.0,
        "difference": 0.0,
        "interval": [0.0, 0.0],
        "p": 1.0,
    }
