"""What a question names: found by its capitals or codes, and looked for in what was found."""

from collections.abc import Iterator
from pathlib import Path

import company
import pytest
from company import ask
from library import put

from rag.answer.naming import Naming, named
from rag.appliance import Appliance
from rag.search.embed import Embedder
from rag.types import Chunk, Hit, StoredChunk

STOP = {*("what", "is", "the", "of", "which", "does", "have", "who", "when", "was", "in", "and")}
STOP |= {*("did", "a", "our", "wie", "hat", "welche")}


def share_of(word: str) -> float | None:
    """Norrvane is the company's own name."""
    return None if word.lower() in STOP else 0.3 if word == "Norrvane" else 0.001


def names(question: str, language: str = "en", *texts: str) -> list[str]:
    return [one.text for one in named(question, language, share_of, texts)]


def hit(text: str, *, rank: int = 1, title: str = "", language: str = "en", uri: str = "/a") -> Hit:
    chunk = Chunk(0, 0, len(text), text)
    stored = StoredChunk(rank, rank, "docs", title, uri, language, chunk)
    return Hit(rank, 0.5, 0.5, stored, (stored,), text)


def naming(question: str, *hits: Hit, language: str = "en") -> Naming:
    return Naming.of(question, language, hits, share_of)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the locker code of Elena Larsen?", ["Elena Larsen"]),
        ("What did Elena O'Brien-Smith sign?", ["Elena O'Brien Smith"]),
        ("Which badge has Elena's deputy in Leeds?", ["Elena", "Leeds"]),
        ("When is INV-2343 due?", ["INV-2343"]),
        ("when is inv-2343 due?", ["inv-2343"]),
        ("Who reads help@example.com?", ["help@example.com"]),
        ("What happened mid-2023, in Q3 and FY2022?", []),
        ("What is the notice period?", []),
        ("WHAT IS THE NOTICE PERIOD FOR EMPLOYEES", []),
        ("Who is the CEO of Contoso Ltd?", ["CEO", "Contoso Ltd"]),
        ("I am Thomas from Leeds, what is the notice period?", []),
        ("I am looking for the code of Dupont", ["Dupont"]),
        ("Hello, Ada here. What is the code of Dupont? Best, Ada", ["Dupont"]),
    ],
)
def test_names_and_codes_of_a_question_are_found(question: str, expected: list[str]) -> None:
    assert names(question) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Wie lautet der Code von Mitarbeiter Dupont?", ["Dupont"]),
        ("Welche Durchwahl hat Elena Larsen?", ["Larsen"]),
        ("Wie hoch ist die Vergütung?", []),
        ("Was sagt Müllers Vertrag?", []),
        ("Wer leitet das NHL-Team?", ["NHL"]),
    ],
)
def test_in_german_a_noun_beside_another_is_a_name(question: str, expected: list[str]) -> None:
    assert names(question, "de") == expected


def test_a_name_typed_small_is_known_by_how_the_passages_write_it() -> None:
    text = "The code of Elena Keller is 17. Employee Paul Larsen has a locker, as employee."
    assert names("locker code of employee elena larsen", "en", text) == ["elena larsen"]
    assert names("what does paul have", "en", "It is late. Paul left.") == [], "as any first word"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("Superbowl tickets of Ms Okafor", "Ms Okafor went to the Super Bowl."),
        ("the Maastrich treaty", "The treaty of Maastricht"),
        ("our ESG report", "Environmental, social and governance"),
        ("the rules of Amazon Web Services", "The rules of AWS"),
        ("these 10-Qs", "Form 10-Q"),
        ("the ISO27001 audit", "An audit by ISO 27001"),
        ("the Larsen file", "the Larsens' file"),
    ],
)
def test_another_spelling_is_the_same_name(asked: str, said: str) -> None:
    found = naming(asked, hit(said))
    assert found.named
    assert (found.lacking, found.unnamed) == (0, ())


def test_title_and_file_name_are_of_the_passage() -> None:
    assert naming("Who leads Aurora?", hit("Ann leads it.", title="Project Aurora")).lacking == 0
    assert naming("Who leads Aurora?", hit("Ann leads it.", uri="/x/aurora_plan.md")).lacking == 0


def test_a_name_counts_where_one_passage_has_all_of_it() -> None:
    both = hit("Elena Keller has 17."), hit("Paul Larsen has 18.", rank=2)
    found = naming("What has Elena Larsen?", *both)
    assert found.lacking == 0.5
    assert found.unnamed == (), "each of the words is there"
    assert naming("What have Elena Keller and Paul Larsen?", *both).lacking == 0
    assert naming("What has Dupont?", *both).unnamed == ("Dupont",)
    assert naming("What has Keller, and what Dupont?", *both).lacking == 1, "half an answer is none"
    several = "What have Keller, Larsen, Elena, Paul and Dupont?"
    assert naming(several, *both).lacking == 0.25
    assert naming("What has Elena Keller?", *both).behind == (0, 1)


def test_a_name_that_stands_everywhere_may_be_missing_from_a_passage() -> None:
    passage = hit("Employees have thirty days.")
    assert naming("What do employees of Norrvane have?", passage).named == ()
    assert naming("What do employees of Dupont have?", passage).unnamed == ("Dupont",)


def test_names_do_not_count_between_two_languages_but_codes_do() -> None:
    german = hit("In Deutschland gilt INV-17.", language="de")
    assert naming("What holds in Germany?", german).lacking == 0
    assert naming("Is INV-18 paid in Germany?", german).unnamed == ("INV-18",)


# In an appliance


@pytest.fixture(scope="module")
def lockers(
    tmp_path_factory: pytest.TempPathFactory, model_home: Path, embedder: Embedder
) -> Iterator[Appliance]:
    """Forty notes that are alike but for a name and a code; each given or family name has two."""
    first = "Anna Ben Carla David Elena Farid Greta Hugo Ines Jan Kim Liam Mia Nils Olga Paul"
    last = "Keller Rossi Larsen Berg Novak Costa Weber Silva Lang Hansen Moreau Stone Fischer Meyer"
    given, family = [*first.split(), "Rita", "Sven", "Tara", "Udo"], last.split()
    people = [f"{given[i % 20]} {family[i % 14]}" for i in range(40)]
    assert "Nils Meyer" in people and "Elena Larsen" not in people
    folder = tmp_path_factory.mktemp("lockers") / "data"
    with Appliance(company.settings_in(folder, model_home)) as appliance:
        for number, person in enumerate(people):
            text = f"The locker code of employee {person} is {4000 + 7 * number}."
            put(appliance.store, embedder, f"/notes/{number}.txt", text)
        yield appliance


def test_only_the_note_of_who_is_asked_for_is_quoted(lockers: Appliance) -> None:
    final = ask(lockers, "What is the locker code of employee Nils Meyer?")
    assert final.status == "answered"
    assert all("Nils Meyer" in citation.cited_text for citation in final.citations)


@pytest.mark.parametrize(
    ("person", "unnamed"), [("Dupont", ("Dupont",)), ("Elena Larsen", ()), ("elena larsen", ())]
)
def test_who_is_in_no_note_gets_nobody_elses_code(
    person: str, unnamed: tuple[str, ...], lockers: Appliance
) -> None:
    final = ask(lockers, f"What is the locker code of employee {person}?")
    assert final.status == "no_evidence"
    assert final.related, "they may be looked at"
    assert final.searched.unnamed == unnamed
