import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from small_sets import write_beir, write_files, write_lines

from rag.errors import BadRequest, NotFound
from rag.eval.gold import Place, Span
from rag.eval.report import check_writable, load, write
from rag.eval.sets import entries, gold_digest, load_questions, load_set


def wrong(read: Callable[[], object]) -> str:
    with pytest.raises(BadRequest) as caught:
        read()
    assert caught.value.hint
    return caught.value.message


def test_judgements_are_found_in_either_place_and_with_or_without_a_header(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "set")
    expected = load_set(folder).questions
    (folder / "qrels").mkdir()
    rows = (folder / "qrels.tsv").read_text().splitlines()[1:]
    (folder / "qrels.tsv").unlink()
    (folder / "qrels" / "test.tsv").write_text("\r\n".join(rows))

    assert load_set(folder).questions == expected
    trec = [" ".join([*row.split("\t")[:1], "0", *row.split("\t")[1:]]) for row in rows]
    (folder / "qrels" / "test.tsv").write_text("\n".join(trec))
    assert load_set(folder).questions == expected
    assert expected[0].relevant == {"hotel": 2, "train": 1}


def test_grades_of_nothing_and_unknown_questions_are_passed_over(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "set")
    (folder / "qrels.tsv").write_text("q1\thotel\t0\nq2\tcanteen\t1.0\nother\thotel\t1\n")
    assert [question.id for question in load_set(folder).questions] == ["q2"]


def test_gold_is_read_however_it_is_written(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"question": "a", "citations": [["x.pdf", 3], ["y.pdf", 1]]},
        {"question": "b", "citations": ["x.pdf#page=3", "y.pdf"]},
        {"question": "c", "metadata": {"documents": [{"file": "x.pdf", "pages": [3, 4]}]}},
        {"question": "d", "document": "x.pdf", "page": 3},
        {"question": "e", "metadata": {"spans": [["x.md", 1, 5], {"doc": "y.md", "start": 0,
         "end": 2}]}},
        {"question": "f", "corpus_id": "x", "references": [{"content": "so", "start_index": 4,
         "end_index": 6}]},
        {"question": "g", "doc": "x.md", "references": ["as it is"], "answers": ["so", "thus"]},
    ]  # fmt: skip
    a, b, c, d, e, f, g = (q.gold for q in load_questions(write_lines(tmp_path / "q", rows)))

    assert a.places == (Place("x.pdf", 3), Place("y.pdf", 1))
    assert b.places == (Place("x.pdf", 3), Place("y.pdf"))
    assert c.places == (Place("x.pdf", 3), Place("x.pdf", 4))
    assert Place("x.pdf", 3) in d.places
    assert e.spans == (Span("x.md", 1, 5), Span("y.md", 0, 2))
    assert f.spans == (Span("x", 4, 6, "so"),)
    assert g.spans == (Span("x.md", None, None, "as it is"),) and g.answers == ("so", "thus")


def test_beside_a_table_a_line_may_hold_what_it_likes(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "set")
    odd = [{"_id": "q1", "text": "a", "metadata": {"documents": 3, "answers": [{"x": 1}, 7]}}]
    write_lines(folder / "queries.jsonl", odd)
    assert [question.id for question in load_set(folder).questions] == ["q1"]


def test_a_table_of_files_is_gold_too(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "set")
    write_lines(folder / "queries.jsonl", [{"_id": "k", "text": "Where?"}])
    (folder / "qrels_docs.tsv").write_text("query-id\tdoc\tscore\nk\ta name with spaces.md\t1\n")
    [question] = load_set(folder).questions
    assert question.gold.places == (Place("a name with spaces.md"),)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "no question"),
        ('{"_id": "q1", "text": "again"}', "'q1' came before"),
        ('{"text": 1.5}', "'text' is not text"),
        ('{"text": "x", "metadata": 3}', "'metadata' is not an object"),
        ('{"text": "x", "doc": 5}', "'doc' is not a document"),
        ('{"text": "x", "doc": "a.pdf", "page": 0}', "page 0"),
        ('{"text": "x", "page": 2}', "not the one document"),
        ('{"text": "x", "doc": "a", "spans": [[5, 5]]}', "does not begin before it ends"),
        ('{"text": "x", "spans": [[1, 5]]}', "names no document"),
        ('{"text": "x", "answerable": "no"}', "neither true nor false"),
    ],
)
def test_what_is_wrong_with_a_question_is_told_with_its_line(
    tmp_path: Path, line: str, what: str
) -> None:
    file = tmp_path / "queries.jsonl"
    file.write_text(f'{{"_id": "q1", "text": "one"}}\n\n{line}\n')
    message = wrong(lambda: load_questions(file))
    assert message.startswith(f"{file}, line 3: ") and what in message


def test_what_is_wrong_with_a_corpus_or_a_table_is_told_with_its_line(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "set")
    corpus, table = folder / "corpus.jsonl", folder / "qrels.tsv"
    corpus.write_text('{"_id": "a", "text": "x"}\n{"_id": "a", "text": "y"}\n{"text": "z"}\n')
    assert wrong(lambda: list(entries(corpus))) == f"{corpus}, line 2: the document 'a' came before"
    corpus.write_text('{"text": "z"}\n')
    assert "line 1: there is no '_id'" in wrong(lambda: list(entries(corpus)))
    table.write_text("query-id\tcorpus-id\tscore\nq1\thotel\tgood\n")
    assert (
        wrong(lambda: load_set(folder))
        == f"{table}, line 2: the grade 'good' is not a whole number"
    )
    table.write_text("q1\thotel\t1\nq1 1\n")
    assert "line 2: 2 columns" in wrong(lambda: load_set(folder))
    for header in ("query-id\tcorpus-id\tgrade (0-3)", "frage\tdokument\tévaluation"):
        table.write_text(f"\ufeff\n\u00a0\n{header}\nq1\thotel\t1\n")
        assert load_set(folder).questions[0].relevant == {"hotel": 1}
    table.write_text("q1\thotel\t1.5\nq1\ttrain\t1\n")
    assert "line 1: the grade '1.5'" in wrong(lambda: load_set(folder)), "which is no header"
    table.write_bytes(b"q1\thotel\t1\n\xff\xfe\n")
    assert "line 2: this is not UTF-8" in wrong(lambda: load_set(folder))
    table.write_bytes(gzip.compress(b"q1\thotel\t1\n"))
    assert wrong(lambda: load_set(folder)) == f"{table} is compressed"


def test_a_folder_without_a_set_says_what_is_missing(tmp_path: Path) -> None:
    assert "there is no folder" in wrong(lambda: load_set(tmp_path / "nothing"))
    assert "neither corpus.jsonl nor a folder docs" in wrong(lambda: load_set(tmp_path))
    folder = write_beir(tmp_path / "set")
    (folder / "qrels.tsv").unlink()
    assert "there is no qrels.tsv" in wrong(lambda: load_set(folder))
    (folder / "qrels.tsv").write_text("hotel\tq1\t1\n")
    assert "its questions in the second column" in wrong(lambda: load_set(folder))
    (folder / "qrels.tsv").write_text("q77\thotel\t1\n")
    assert "judges others, such as 'q77'" in wrong(lambda: load_set(folder))
    (folder / "qrels.tsv").write_text("q1\thotel\t0\n")
    assert "no row with a grade above 0" in wrong(lambda: load_set(folder))
    row = {"_id": "q1", "text": "one", "answerable": False, "cited": ["\ud800.pdf"]}
    write_lines(folder / "queries.jsonl", [row])
    assert "say 'answerable': false" in wrong(lambda: load_set(folder))
    assert len(gold_digest(load_questions(folder / "queries.jsonl"))) == 12
    (folder / "queries.jsonl").write_text("\n")
    assert "holds no question" in wrong(lambda: load_set(folder))
    (folder / "queries.jsonl").unlink()
    assert "holds no queries.jsonl" in wrong(lambda: load_set(folder))


@pytest.mark.parametrize("grade", ["1001", "1e10", "-1e20"])
def test_a_grade_that_would_overflow_is_told_with_its_line(grade: str, tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "set")
    (folder / "qrels.tsv").write_text(f"q1\thotel\t1\nq2\tcanteen\t{grade}\n")
    with pytest.raises(BadRequest, match=r"line 2: the grade .* are the columns in another order"):
        load_set(folder, None, None)


@pytest.mark.parametrize("cited", [["a.pdf", 0], ["a.pdf", -3], "a.pdf#page=0"])
def test_pages_are_counted_from_one_however_they_are_written(cited: object, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "q.jsonl", [{"question": "Why?", "citations": [cited]}])
    with pytest.raises(BadRequest, match=r"line 1: the page (0|-3) is not a number from 1 on"):
        load_questions(file)


def test_a_page_stands_for_its_document(tmp_path: Path) -> None:
    row = {"question": "Why?", "file": "a.pdf", "page": 3}
    [question] = load_questions(write_lines(tmp_path / "q.jsonl", [row]))
    assert question.gold.places == (Place("a.pdf", 3),)


def test_a_link_goes_on_leading_there_and_a_file_keeps_its_rights(tmp_path: Path) -> None:
    real, link, new = (tmp_path / name for name in ("real", "link", "new"))
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    write(link, b"content")
    assert link.is_symlink() and real.read_bytes() == b"content"
    assert real.stat().st_mode & 0o777 == 0o640
    write(new, b"content")
    (tmp_path / "usual").touch()
    assert new.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_device_is_not_written_over() -> None:
    with pytest.raises(BadRequest, match="cannot write /dev/null"):
        check_writable(Path("/dev/null"))


def test_a_file_that_is_no_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load(tmp_path / "nothing.json")
    (tmp_path / "other.json").write_text('{"a": 1}')
    assert "no saved report" in wrong(lambda: load(tmp_path / "other.json"))
