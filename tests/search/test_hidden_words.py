"""What a caller may not read has no part in anything that the caller sees of a search."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
from library import put

from rag.answer.evidence import evidence
from rag.answer.extract import Question, candidates
from rag.appliance import Appliance
from rag.search.lexical import LexicalIndex
from rag.search.rarity import Counted
from rag.settings import Settings
from rag.types import Access, IndexRow

BY_COLLECTION = Access(frozenset({"docs"}), lists=frozenset({7, 8}))
BY_LIST = Access(frozenset({"docs", "board"}), lists=frozenset({7}))
EVERYTHING = Access(frozenset({"docs", "board"}), lists=frozenset({7, 8}))
WORDS = (  # noqa: SIM905  a list of one word a line is no easier to read
    "zephyr severance notice salary travel merger bonus laptop audit canteen visit cost"
).split()
LENGTH = 12  # words of each text: a length is no word


def readable() -> list[IndexRow]:
    """Thirty chunks of drawn words, some of them in a list."""
    chance = Random(1)
    return [
        row(n, chance.choices(WORDS, range(len(WORDS), 0, -1), k=LENGTH), list_id=7 * (n % 2))
        for n in range(1, 31)
    ]


def hidden(words: list[str], *, n: int = 90, **place: str | int) -> list[IndexRow]:
    """More than what may be read, full of a few words."""
    chance = Random(2)
    return [row(100 + i, chance.choices(words, k=LENGTH), **place) for i in range(n)]


def row(i: int, words: list[str], *, collection: str = "docs", list_id: int = 0) -> IndexRow:
    text = " ".join(words)
    vector = np.zeros(1, np.float32)
    return IndexRow(i, i, collection, list_id, "en", "Paper", "", "", text, "m", vector)


def filled(folder: Path, *rows: list[IndexRow]) -> LexicalIndex:
    folder.mkdir()
    index = LexicalIndex(folder)
    for some in rows:
        index.append(some)
    index.commit()
    return index


@pytest.mark.parametrize(
    ("access", "place"),
    [(BY_COLLECTION, {"collection": "board"}), (BY_LIST, {"list_id": 8})],
    ids=["collection", "list"],
)
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_as_if_what_is_hidden_were_not_there(
    access: Access, place: dict[str, str | int], seed: int, tmp_path: Path
) -> None:
    chance = Random(seed)
    alone = filled(tmp_path / "alone", readable())
    beside = filled(tmp_path / "beside", readable(), hidden(chance.sample(WORDS, 3), **place))
    for _ in range(12):
        query = " ".join(chance.sample(WORDS, chance.randint(1, 4)))
        expected = dict(alone.search(query, 99, access))
        assert dict(beside.search(query, 99, access)) == pytest.approx(expected, abs=1e-6)
    for word in WORDS:
        assert beside.idf(word, "en", access) == alone.idf(word, "en", access)


def test_a_word_of_nearly_all_hidden_chunks_weighs_what_it_does_without_them(
    tmp_path: Path,
) -> None:
    rare = [row(50, ["quokka"] * LENGTH)]
    alone = filled(tmp_path / "alone", readable(), rare)
    quokkas = hidden(["quokka"], n=3000, collection="board")
    beside = filled(tmp_path / "beside", readable(), rare, quokkas)
    ((_, expected),) = alone.search("quokka", 9, BY_COLLECTION)
    ((_, score),) = beside.search("quokka", 9, BY_COLLECTION)
    assert score == pytest.approx(expected, rel=1e-5)


def test_what_was_hidden_and_deleted_is_not_counted_either(tmp_path: Path) -> None:
    alone = filled(tmp_path / "alone", readable())
    once = filled(tmp_path / "once", readable(), hidden(["merger"], collection="board"))
    for i in range(90):
        once.delete_document(100 + i)
    once.commit()
    for access in (BY_COLLECTION, EVERYTHING):
        expected = dict(alone.search("merger notice", 99, access))
        assert dict(once.search("merger notice", 99, access)) == pytest.approx(expected, abs=1e-6)


def test_what_was_counted_holds_until_something_changes(tmp_path: Path) -> None:
    index = filled(tmp_path / "i", readable(), hidden(["merger"], collection="board"))
    before = index.idf("quokka", "en", BY_COLLECTION)
    assert index.idf("quokka", "en", BY_COLLECTION) == before
    index.append([row(60, ["quokka"])])
    index.commit()
    assert index.idf("quokka", "en", BY_COLLECTION) < before
    assert index.idf("merger", "en", EVERYTHING) < index.idf("merger", "en", BY_COLLECTION)


def test_of_what_was_counted_common_words_hold_while_little_changes() -> None:
    reads = frozenset({"docs"}), frozenset[int]()
    counted = Counted()
    counted.get(reads, ("text_en", "notice"), lambda: 5000)
    counted.get(reads, ("text_en", "quokka"), lambda: 0)
    later = counted.after(60, 10_000)
    assert later.has(reads, ("text_en", "notice"))
    assert not later.has(reads, ("text_en", "quokka")), "a new chunk may have it"
    assert not later.after(60, 10_000).has(reads, ("text_en", "notice"))


def test_a_chunk_of_average_length_scores_the_share_of_the_words_that_it_has(
    tmp_path: Path,
) -> None:
    index = filled(tmp_path / "i", [row(1, ["one", "quokka"]), row(2, ["two", "wombat"])])
    assert index.search("quokka", 9, BY_COLLECTION) == [(1, pytest.approx(1.0, rel=1e-5))]
    both = dict(index.search("quokka wombat", 9, BY_COLLECTION))
    assert both == {1: pytest.approx(0.5, rel=1e-5), 2: pytest.approx(0.5, rel=1e-5)}


@pytest.fixture
def worlds(settings: Settings, tmp_path: Path) -> Iterator[list[Appliance]]:
    """Two appliances; what is hidden in them has the same length and other words."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "models").symlink_to(settings.data_dir / "models")
    other = settings.model_copy(update={"data_dir": tmp_path / "other"})
    plain, telling = "Ordinary matters of every day.", "Zephyr severance of Zephyr severance."
    with Appliance(settings) as one, Appliance(other) as two:
        for appliance, text in ((one, plain), (two, telling)):
            for n, said in enumerate(("The Zephyr severance is two years.", "Severance is rare.")):
                put(appliance.store, appliance.embedder, f"/{n}.txt", said)
            for n in range(5):
                put(appliance.store, appliance.embedder, f"/h{n}.txt", f"{text} {n}", "board")
            for n in range(5):
                put(appliance.store, appliance.embedder, f"/own/{n}.txt", f"{text} {n}")
            appliance.store.permissions.add_principal("user", "bob")
            appliance.store.permissions.grant("docs", "user:bob", "read")
            appliance.store.permissions.limit("docs", "/own", [])
        yield [one, two]


def test_hits_and_evidence_do_not_tell_which_words_are_hidden(worlds: list[Appliance]) -> None:
    for query in ("Zephyr severance", "What is the severance?", "ordinary matter"):
        one, two = (seen(appliance, query) for appliance in worlds)
        assert one[0] == two[0]
        assert len(one[0]) == 2
        assert np.allclose(one[1], two[1], rtol=0, atol=1e-6)


def seen(appliance: Appliance, query: str) -> tuple[list[str], list[float]]:
    """What bob sees: the texts that are found, and every number."""
    access = appliance.store.access_of_user("bob")
    found = appliance.search(query, access, 10)
    lexical = appliance.indexes.lexical
    question = Question.of(query, found.vector, found.hits, lexical, access)
    scored = candidates(question, found.hits, appliance.embedder, lexical)
    numbers = [n for h in found.hits for n in (h.score, h.dense)]
    numbers += [score for _, score in lexical.search(query, 10, access)]
    numbers += [evidence(found.hits, scored, question.naming.lacking)]
    return [h.text for h in found.hits], numbers
