"""A kept answer in its sentences, and what the page says of people and files."""

from datetime import UTC, datetime

import pytest

from rag.client import Problem
from rag.client.account import Me, Session
from rag.client.records import Citation, DocumentRef, Final, Searched, Sentence, Unsupported
from rag.client.runs import Run, RunFailure
from ui import account, notes
from ui.kept import sentences
from ui.session import Upload
from ui.written import begin, drawn, shape


def citation(number: int, start: int, end: int, document_id: int = 1) -> Citation:
    return Citation(
        number,
        document_id,
        "Rules",
        "rules.md",
        None,
        None,
        (),
        0,
        9,
        "x",
        answer_start=start,
        answer_end=end,
    )


def final(answer: str, *citations: Citation, engine: str = "llama", **more: object) -> Final:
    return Final("answered", Searched("q"), answer, engine, citations=citations, **more)  # type: ignore[arg-type]


def whole(said: list[Sentence]) -> str:
    return "".join(sentence.glue + sentence.text for sentence in said)


def test_quotes_come_back_with_what_they_cite() -> None:
    answer = "One is so. Two is not."
    said = sentences(final(answer, citation(1, 0, 10), citation(2, 11, 22), engine="extractive"))
    assert [(s.text, s.glue, s.kind, [c.id for c in s.citations]) for s in said] == [
        ("One is so.", "", "quote", [1]),
        ("Two is not.", " ", "quote", [2]),
    ]


def test_a_written_answer_comes_back_with_headings_and_what_is_not_supported() -> None:
    answer = "## Pay\n\nIt is much. It is blue.\n\n- Paid monthly."
    first, blue = answer.index("It is much"), answer.index("It is blue")
    item = answer.index("- Paid")
    said = sentences(
        final(
            answer,
            citation(1, first, first + 11),
            citation(2, first, first + 11),
            citation(1, item, len(answer)),
            unsupported=(Unsupported(blue, blue + 11, "nothing says blue"),),
        )
    )
    assert [(s.text, s.kind, s.supported) for s in said] == [
        ("## Pay", "lead", True),
        ("It is much.", "written", True),
        ("It is blue.", "written", False),
        ("- Paid monthly.", "written", True),
    ]
    assert [c.id for c in said[1].citations] == [1, 2]
    assert whole(said) == answer


@pytest.mark.parametrize(
    "between",
    ["\n\n| A | B |\n|---|---|\n", "\n\n```\na = 1\n\nb = 2\n```\n\n", "\n\nFirst:\n\nSecond:\n"],
)
def test_lines_that_cite_nothing_stay_whole_in_their_shape(between: str) -> None:
    answer = f"One is so.{between}| 1 | 2 |"
    said = sentences(final(answer, citation(1, 0, 10), citation(2, len(answer) - 9, len(answer))))
    assert whole(said) == answer
    assert shape(said[1]) == {"|": "table", "`": "code", "F": "paragraph"}[between.strip()[0]]
    assert drawn(begin(said[1]))


@pytest.mark.parametrize("spans", [((0, 10), (5, 22)), ((0, 10), (11, 40)), ((3, 3),)])
def test_an_answer_whose_sentences_cannot_be_told_apart_comes_as_one(
    spans: tuple[tuple[int, int], ...],
) -> None:
    answer = "One is so. Two is not."
    said = sentences(final(answer, *(citation(n, *span) for n, span in enumerate(spans, 1))))
    assert [(s.text, len(s.citations)) for s in said] == [(answer, len(spans))]


def test_an_answer_of_which_nothing_may_be_read_has_no_sentence() -> None:
    assert sentences(final("")) == []


@pytest.mark.parametrize(
    ("upload", "said"),
    [
        (Upload("a <b>.md", problem=Problem("The file is too large.")), "Not uploaded"),
        (Upload("a <b>.md", document=DocumentRef(7, "A")), "Was there already"),
        (Upload("a <b>.md", run=Run(1, "upload", "hr", "waiting", ())), "Waiting"),
        (Upload("a <b>.md", run=Run(1, "upload", "hr", "done", (), document_id=7)), "Ready"),
        (
            Upload(
                "a <b>.md",
                run=Run(
                    1,
                    "upload",
                    "hr",
                    "done",
                    (),
                    failures=(RunFailure("p", "the PDF is <damaged>", "Print it anew."),),
                ),
            ),
            "The PDF is &lt;damaged&gt;",
        ),
        (
            Upload("a <b>.md", run=Run(1, "upload", "hr", "failed", (), message="no disk")),
            "No disk",
        ),
    ],
)
def test_what_became_of_a_file_is_said_and_its_name_escaped(upload: Upload, said: str) -> None:
    shown = notes.upload(upload)
    assert said in shown
    assert "a &lt;b&gt;.md" in shown


def test_what_a_browser_says_of_itself_is_told_shortly_and_escaped() -> None:
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    assert account.browser(agent) == "Firefox on Linux"
    assert account.browser("<script>") == ""
    now = datetime(2026, 3, 2, 9, 14, tzinfo=UTC)
    session = Session(1, "<i>", "192.0.2.1", agent, now, now, now, current=True)
    shown = notes.signed_in(session, account.browser(agent))
    assert "This browser" in shown
    assert "<i>" not in shown
    assert "Groups: a, &lt;b&gt;" in notes.who(Me("ann", groups=("a", "<b>")))
