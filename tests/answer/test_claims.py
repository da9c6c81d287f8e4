"""The model's text in pieces in, sentences with their keys out, wherever the pieces were cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.answer.claims import Claim, ClaimSplitter

KEYS = ("k3f9", "a2b1", "c7d0")


def split(text: str, language: str = "en", keys: tuple[str, ...] = KEYS) -> list[Claim]:
    splitter = ClaimSplitter(keys, language)
    return splitter.feed(text) + splitter.finish()


def cited(text: str, language: str = "en") -> list[tuple[str, tuple[str, ...]]]:
    """Texts with their keys."""
    return [(claim.text, claim.keys) for claim in split(text, language)]


@pytest.mark.parametrize(
    "written",
    [
        "Leave is 30 days [k3f9].",
        "Leave is 30 days. [k3f9]",
        "Leave is 30 days.[k3f9]",
        "Leave is 30 days[k3f9].",
        "Leave is 30 days 【k3f9】.",
        "Leave is 30 days ［k3f9］.",
        "Leave is 30 days ([k3f9]).",
        "Leave is 30 days (k3f9).",
        "Leave is 30 days. [^k3f9]",
        "Leave is 30 days. [[k3f9]]",
        "Leave is 30 days. \\[k3f9\\]",
        "Leave is 30 days. [K3F9]",
        "Leave is 30 days. [Source: k3f9]",
        "Leave is 30 days. [k3f9, p. 12]",
        "Leave is 30 days.\n[k3f9]",
        "Leave is 30 days. [k3f9][k3f9]",
        "[k3f9] Leave is 30 days.",
    ],
)
def test_a_marker_is_taken_out_and_its_key_kept_however_it_is_written(written: str) -> None:
    assert cited(written) == [("Leave is 30 days.", ("k3f9",))]


@pytest.mark.parametrize(
    "marker", ["[k3f9][a2b1]", "[k3f9] [a2b1]", "[k3f9, a2b1]", "[k3f9; a2b1]", "[k3f9], [a2b1]"]
)
def test_several_keys_keep_their_order(marker: str) -> None:
    expected = [("One.", ("k3f9", "a2b1")), ("Two.", ("c7d0",))]
    assert cited(f"One. {marker} Two. [c7d0]") == expected
    assert cited(f"One {marker}. Two [c7d0].") == expected


def test_markers_within_a_sentence_belong_to_it() -> None:
    assert cited("Leave is 30 days [k3f9] and notice 3 months [a2b1]. Next") == [
        ("Leave is 30 days and notice 3 months.", ("k3f9", "a2b1")),
        ("Next", ()),
    ]


def test_an_unknown_key_is_removed_and_counted() -> None:
    first, second = split("It is so [z9z9]. And so [k3f9, q4q4, q5q5].")
    assert (first.text, first.keys, first.n_unknown) == ("It is so.", (), 1)
    assert (second.text, second.keys, second.n_unknown) == ("And so.", ("k3f9",), 2)


@pytest.mark.parametrize(
    "text",
    [
        "In that year [2024] it was so.",
        'They "recieve [sic] it".',
        "It is so [note 3].",
        "It is so [emphasis added].",
        "The array x[0] holds it.",
        "See [RFC9110] and [AB12].",
        "See [the handbook](handbook.md).",
        "A (bracket) and [another, longer one] stay.",
        "An open [ bracket",
        "An open (k3f9",
        "A path C:\\temp\\new and a \\",
    ],
)
def test_brackets_that_are_no_markers_stay(text: str) -> None:
    (claim,) = split(text)
    assert (claim.text, claim.keys, claim.n_unknown) == (text, (), 0)


def test_keys_that_look_like_words_or_numbers_are_markers_when_alone() -> None:
    (claim,) = split("So it is [2024]. [note, more]", keys=("2024", "note", "more"))
    assert (claim.text, claim.keys) == ("So it is.", ("2024", "note", "more"))
    (claim,) = split("So it is [see note 3].", keys=("2024", "note"))
    assert (claim.text, claim.keys) == ("So it is [see note 3].", ())


@pytest.mark.parametrize(
    ("language", "text", "sentences"),
    [
        ("en", "It is 3.5 percent, e.g. for Dr. Smith. See No. 5. End", 3),
        ("en", "J. Smith wrote it. See https://a.example/b.c?d=1. End", 3),
        ("en", "It grew by 1,234.56 in the U.S. market. End", 2),
        ("en", 'It says "Leave is 30 days. It must be taken." End', 2),
        ("en", "Leave (30 days. Not more.) is paid. End", 2),
        ("de", "Das gilt z. B. ab dem 1. März 2024. Siehe Nr. 5 und Abs. 3. Ende", 3),
        ("de", "Der Plan sagt: „Erstens so. Zweitens so.“ Ende", 2),
        ("fr", "M. Dupont l'a dit, cf. p. 5. Fin", 2),
        ("it", "Il sig. Rossi paga il 3,5 %. Fine", 2),
        ("pt", "O Sr. Silva paga 1.234,56 euros. Fim", 2),
        ("es", "El Sr. García paga 3,5 %. ¿Cuándo? Hoy", 3),
        ("hi", "यह नियम है। दूसरा नियम है। अंत", 3),
        ("th", "กฎนี้ใช้กับทุกคน มีผล 30 วัน", 1),
    ],
)
def test_sentences_end_where_the_language_ends_them(
    language: str, text: str, sentences: int
) -> None:
    claims = split(text, language)
    assert len(claims) == sentences
    assert "".join(c.glue + c.text for c in claims) == text


def test_a_marker_ends_a_thai_sentence_that_has_no_stop() -> None:
    assert cited("กฎนี้ใช้กับทุกคน [k3f9] มีผล 30 วัน [a2b1]", "th") == [
        ("กฎนี้ใช้กับทุกคน", ("k3f9",)),
        ("มีผล 30 วัน", ("a2b1",)),
    ]


def test_a_marker_after_an_abbreviation_shows_that_the_sentence_ends() -> None:
    assert cited("Choose plan B. [k3f9] It is paid by the firm etc. [a2b1] Then") == [
        ("Choose plan B.", ("k3f9",)),
        ("It is paid by the firm etc.", ("a2b1",)),
        ("Then", ()),
    ]


def test_list_items_are_claims_and_what_leads_to_them_is_a_lead() -> None:
    text = (
        "## 2. Leave\n\nThe steps are:\n1. Ask. [k3f9]\n2. Wait two days [a2b1]\n"
        "   - or more. And rest. [k3f9]\n\n**Then**\n\n---\nGo [c7d0]"
    )
    assert [(c.text, c.keys, c.glue, c.kind) for c in split(text)] == [
        ("## 2. Leave", (), "", "lead"),
        ("The steps are:", (), "\n\n", "lead"),
        ("1. Ask.", ("k3f9",), "\n", "sentence"),
        ("2. Wait two days", ("a2b1",), "\n", "sentence"),
        ("- or more.", (), "\n   ", "sentence"),
        ("And rest.", ("k3f9",), " ", "sentence"),
        ("**Then**", (), "\n\n", "lead"),
        ("---", (), "\n\n", "lead"),
        ("Go", ("c7d0",), "\n", "sentence"),
    ]


def test_a_lead_that_cites_is_checked_like_a_sentence() -> None:
    assert [c.kind for c in split("These are covered [k3f9]:\n- Teeth [k3f9]")] == ["sentence"] * 2


def test_a_list_of_sources_says_nothing() -> None:
    claims = split("It is so. [k3f9]\n\nSources:\n- [k3f9]\n- [a2b1]")
    assert [(c.text, c.kind) for c in claims[1:]] == [("Sources:", "lead"), *[("-", "lead")] * 2]


def test_rows_are_claims_and_the_header_is_a_lead() -> None:
    text = (
        "| Plan. A | Days |\n|:---|---:|\n| X. Y | 2 [k3f9] |\n| Z | 3 | [a2b1]\n| Q | [c7d0] |\n\n"
        "| Not | a header |\nText."
    )
    assert [(c.text, c.keys, c.kind) for c in split(text)] == [
        ("| Plan. A | Days |\n|:---|---:|", (), "lead"),
        ("| X. Y | 2 |", ("k3f9",), "sentence"),
        ("| Z | 3 |", ("a2b1",), "sentence"),
        ("| Q | |", ("c7d0",), "sentence"),
        ("| Not | a header |", (), "sentence"),
        ("Text.", (), "sentence"),
    ]


def test_code_is_one_claim() -> None:
    code = "```py\nprint('a. b')\n\n# c: d. e\n```"
    text = f"Run this:\n{code}\n[k3f9]\nThen rest. [a2b1]"
    assert cited(text) == [
        ("Run this:", ()),
        (code, ("k3f9",)),
        ("Then rest.", ("a2b1",)),
    ]
    assert split("~~~\nnever. Closed") == [Claim("~~~\nnever. Closed")]


def test_a_wrapped_line_goes_on_and_a_new_one_does_not() -> None:
    assert cited("The leave that is\npaid is long. [k3f9]\nNo stop\nNext\na) item\nb) item") == [
        ("The leave that is\npaid is long.", ("k3f9",)),
        ("No stop", ()),
        ("Next", ()),
        ("a) item", ()),
        ("b) item", ()),
    ]


def test_a_sentence_is_released_with_its_markers_and_not_before() -> None:
    splitter = ClaimSplitter(KEYS, "en")
    assert splitter.feed("Leave is 30 days.") == []
    assert splitter.feed(" [k3") == []
    assert splitter.feed("f9]") == []
    assert splitter.feed("[a2b1] Noti") == [Claim("Leave is 30 days.", ("k3f9", "a2b1"))]
    assert splitter.feed("ce is 3.") == []
    assert splitter.feed("5 months.") == []
    assert splitter.feed("\n\n") == []
    assert splitter.feed("E") == [Claim("Notice is 3.5 months.", glue=" ")]
    assert splitter.finish() == [Claim("E", glue="\n\n")]
    assert splitter.finish() == []


@pytest.mark.parametrize("text", ["", "  \n ", "[k3f9]", " [z9z9]\n"])
def test_a_text_without_words_has_no_claims(text: str) -> None:
    assert split(text) == []


VOCABULARY = (
    'Leave is the 30 3.5 days e.g. Dr. [2024] (see it) "so so" x[0] **bold** https://a.b/c.d 1.'
    " März नियम กฎ ist # | a\\b [ „So “so” »so«"
)
WORDS = st.sampled_from(VOCABULARY.split())
STOPS = st.sampled_from([". ", "! ", "? ", ".\n", ".\n\n", ": ", ":\n", "\n", "।\n", "… ", ".", ""])
BEGINNINGS = st.sampled_from(["", "", "", "- ", "1. ", "## ", "| ", "```\n", "> ", "|---|\n"])
MARKERS = st.sampled_from(
    ["", "", " [k3f9]", "[a2b1]", " [k3f9][c7d0]", " [z9z9]", " 【k3f9, a2b1】", " ([k3f9])"]
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, str]:
    """An answer as a model writes it, and the same without markers."""
    written, bare = "", ""
    for _ in range(draw(st.integers(1, 5))):
        words = draw(BEGINNINGS) + " ".join(draw(st.lists(WORDS, min_size=1, max_size=6)))
        before, stop, after = draw(MARKERS), draw(STOPS), draw(MARKERS)
        if not stop.strip() or stop.strip() != stop.rstrip(" \n") or after.startswith("["):
            after = ""
        ending, gap = stop.rstrip(), stop[len(stop.rstrip()) :] or " "
        written += words + before + ending + after + gap
        bare += words + ending + gap
    return written, bare


@settings(max_examples=300, deadline=None)
@given(answers(), st.data(), st.sampled_from(["en", "de", "hi", "th"]))
def test_claims_are_the_same_wherever_the_text_was_cut(
    answer: tuple[str, str], data: st.DataObject, language: str
) -> None:
    written, bare = answer
    whole = split(written, language)
    splitter, pieces, at = ClaimSplitter(KEYS, language), [], 0
    while at < len(written):
        n = data.draw(st.integers(1, 12))
        pieces += splitter.feed(written[at : at + n])
        at += n
    assert pieces + splitter.finish() == whole
    assert "".join(claim.glue + claim.text for claim in whole) == bare.rstrip()
    assert all(claim.text == claim.text.strip() != "" for claim in whole)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='ab1 .\n[](),k3f9|`#-*\\"【】:', max_size=120), st.integers(1, 9))
def test_nothing_that_a_model_writes_breaks_it(text: str, n: int) -> None:
    splitter = ClaimSplitter(KEYS, "en")
    pieces = [claim for i in range(0, len(text), n) for claim in splitter.feed(text[i : i + n])]
    pieces += splitter.finish()
    assert pieces == split(text)
    assert not any(key in f"[{claim.text}]" for claim in pieces for key in ("[k3f9]", "【k3f9】"))
