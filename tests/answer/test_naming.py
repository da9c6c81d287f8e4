"""What a question names: found by its capitals or codes, and looked for in what was found."""

from collections.abc import Iterator
from pathlib import Path

import company
import pytest
from company import ask
from library import put

from rag.answer.naming import Naming, ShareOf, named
from rag.appliance import Appliance
from rag.search.embed import Embedder
from rag.search.lexical import Words
from rag.types import Chunk, Hit, StoredChunk

CONTENT = Words().content_terms


def shares(language: str = "en") -> ShareOf:
    """Real stop words; a law firm's terms, and Norrvane, its own name; all else is rare."""
    known = {"Norrvane": 0.3, "Agreement": 0.05, "Senior": 0.01, "Manager": 0.02}
    return lambda word: known.get(word, 0.001) if CONTENT(word, language) else None


def names(question: str, language: str = "en", *texts: str) -> list[str]:
    return [one.text for one in named(question, language, shares(language), texts)]


def hit(text: str, *, rank: int = 1, title: str = "", language: str = "en", uri: str = "/a") -> Hit:
    chunk = Chunk(0, 0, len(text), text)
    stored = StoredChunk(rank, rank, "docs", title, uri, language, chunk)
    return Hit(rank, 0.5, 0.5, stored, (stored,), text)


def naming(question: str, *hits: Hit, language: str = "en", n_quoted: int = 8) -> Naming:
    return Naming.of(question, language, hits, shares(language), n_quoted)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the locker code of Elena Larsen?", ["Elena Larsen"]),
        ("What did Elena O'Brien-Smith sign?", ["Elena Brien Smith"]),
        ("Which badge has Elena's deputy in Leeds?", ["Elena", "Leeds"]),
        ("What is Mr. Weber's extension?", ["Weber"]),
        ("Find John Smith's extension", ["John Smith"]),
        ("Show Contoso's notice period", ["Contoso"]),
        ("Does it work with PayPal?", ["PayPal"]),
        ("When is INV-2343 due?", ["INV-2343"]),
        ("when is inv-2343 due?", ["inv-2343"]),
        ("What does form HR-112 ask?", ["HR-112"]),
        ("What is the state of ticket 48213?", ["48213"]),
        ("Is ISO27001 in force?", ["ISO27001"]),
        ("Who reads help@example.com?", ["help@example.com"]),
        ("What is at http://intranet.example/hr?", ["http://intranet.example/hr"]),
        ("Hello, Ada here. What is the code of Dupont? Best, Ada", ["Dupont"]),
        ("I am looking for the code of Dupont", ["Dupont"]),
        ("What is in the Larsen account?", ["Larsen"]),
        ("I am Thomas and I want the code of Elena Larsen", ["Elena Larsen"]),
    ],
)
def test_names_numbers_and_addresses_of_a_question_are_found(
    question: str, expected: list[str]
) -> None:
    assert names(question) == expected


@pytest.mark.parametrize(
    "question",
    [
        "What is the notice period?",
        "WHAT IS THE NOTICE PERIOD FOR EMPLOYEES",
        "What Happens If I Lose My Badge?",
        "What happens if I've lost my badge, or I'd rather not say?",
        "What happened mid-2023, in Q3, Q1/2024, H1 2023 and FY2022?",
        "Explain KYC requirements",
        "Summarize GDPR obligations",
        "Hello Citadel, what is the notice period?",
        "OK, and what is the notice period?",
        "Is the canteen open on Mondays in December, or on a Sunday?",
        "Does Article 6 apply, and what does Section 5 of the Agreement say?",
        "As a Senior Manager, how many days do I have?",
        "Is the form available in German?",
        "May a loan exceed 10000 euros?",
        "What may a hotel in the UK cost, and who in HR knows?",
        "I am Thomas from Leeds, what is the notice period?",
        "What do P1 incidents in room A4 need?",
        "What does the 401k plan pay?",
        "What happened on 2024-03-31 for 12,500.00 euros?",
    ],
)
def test_what_only_looks_like_a_name_is_none(question: str) -> None:
    assert names(question) == []


@pytest.mark.parametrize(
    ("language", "question", "expected"),
    [
        ("de", "Wie lautet der Code von Mitarbeiter Dupont?", ["Dupont"]),
        ("de", "Welche Durchwahl hat Frau Okafor aus der Filiale Leeds?", ["Okafor", "Leeds"]),
        ("de", "Wer ist Herr Dr. Paul Weber?", ["Paul Weber"]),
        ("de", "Wann ist RE-20417 fällig?", ["RE-20417"]),
        ("de", "Wie viele Wochen Kündigungsfrist habe ich?", []),
        ("de", "Haben Auszubildende Anspruch auf Urlaub?", []),
        ("de", "Bekomme ich für Überstunden Geld?", []),
        ("de", "Was sagt Müllers Vertrag zur EC-Karte und zum PC-Raum?", []),
        ("fr", "Quel est le tarif du contrat d'EDF ?", []),
        ("fr", "Quel est le code de Mme Dupont à Lyon ?", ["Dupont", "Lyon"]),
        ("es", "¿Cuál es el código de la Sra. Okafor en Sevilla?", ["Okafor", "Sevilla"]),
        ("es", "¿Cuántos días de vacaciones hay en agosto?", []),
        ("it", "Qual è il codice dell'INAIL per Bianchi?", ["Bianchi"]),
    ],
)
def test_names_of_other_languages_are_found(
    language: str, question: str, expected: list[str]
) -> None:
    assert names(question, language) == expected


def test_a_name_typed_small_is_known_by_how_the_passages_write_it() -> None:
    text = "The code of Elena Keller is 17. Employee Paul Larsen has a locker, as employee."
    assert names("locker code of employee elena larsen", "en", text) == ["elena larsen"]
    assert names("what does paul have", "en", "It is late. Paul left.") == [], "as any first word"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("Where are Superbowl tickets of Okafor?", "Ms Okafor went to the Super Bowl."),
        ("When is it in Bedigo?", "In Bendigo"),
        ("What are rules of Amazon Web Services?", "The rules of AWS"),
        ("Is ISO27001 in force?", "An audit by ISO/IEC 27001:2022"),
        ("Where is a file of Larsen?", "The Larsens' file"),
        ("Where is a file of Larsens?", "Larsen's file"),
        ("Where is a file of Müller?", "File: MÜLLER"),
    ],
)
def test_another_spelling_is_the_same_name(asked: str, said: str) -> None:
    found = naming(asked, hit(said))
    assert found.named
    assert (found.lacking, found.unnamed) == (0, ())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("Where is Martina Fischer?", "Martin Fischer is there."),
        ("Where is Christina Lang?", "Christian Lang is there."),
        ("Where is Larsen?", "The polar sensor is there."),
        ("Where is Hansen?", "Hans is there."),
        ("When is INV-2343 due?", "INV-23430 and INV-12343 are due."),
    ],
)
def test_another_name_is_not_taken_for_a_spelling(asked: str, said: str) -> None:
    assert naming(asked, hit(said)).lacking > 0


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


def test_names_do_not_count_between_two_languages_but_numbers_do() -> None:
    german = hit("In Deutschland gilt INV-1702.", language="de")
    assert naming("What holds in Germany?", german, hit("General rules.", rank=2)).lacking == 0
    assert naming("Is INV-1803 paid in Germany?", german).unnamed == ("INV-1803",)


def test_what_is_mentioned_beyond_the_quoted_passages_is_not_told_to_be_nowhere() -> None:
    near, far = hit("Keller has 17."), hit("Larsen has 18.", rank=2)
    found = naming("What has Larsen?", near, far, n_quoted=1)
    assert (found.lacking, found.unnamed) == (1, ())


def test_a_very_long_question_is_read_to_its_end() -> None:
    """What took the square of its length would run into the limit of a test's time."""
    passages = [hit(" ".join(f"word{n} Name{n}x" for n in range(300)), rank=r) for r in range(8)]
    for piece in ("a", "Ab ", "1", "a-", "A1/", "Name "):
        assert naming(piece * (60_000 // len(piece)), *passages).lacking >= 0


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
