"""What the product asks of its indexes, of FAISS with Tantivy and of Milvus alike."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from index_samples import ALL, DIM, DOCS, MODEL, NOBODY, commit, found, level, move, vectors
from milvus_samples import emptied, kept_open

from rag.search.indexes import Where, open_indexes, rebuild, refresh_snapshots
from rag.search.interface import Pair
from rag.search.verify import verify
from rag.store import Store
from rag.types import Access, IndexServer

Open = Callable[..., Pair]


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexServer]:
    """A file of milvus-lite, open for all tests here."""
    with kept_open(tmp_path_factory.mktemp("milvus") / "index.db") as server:
        yield server


@pytest.fixture(params=["embedded", "milvus"])
def where(request: pytest.FixtureRequest) -> Where:
    """Where the indexes are."""
    return "auto" if request.param == "embedded" else emptied(request.getfixturevalue("milvus"))


@pytest.fixture
def opened(store: Store, where: Where) -> Iterator[Open]:
    """Opens the indexes as a process does; they are closed after the test."""
    pairs: list[Pair] = []

    def open_again(model_id: str = MODEL, said: list[str] | None = None) -> Pair:
        heard = [] if said is None else said
        pairs.append(open_indexes(store, model_id, DIM, where, heard.append))
        return pairs[-1]

    yield open_again
    for pair in pairs:
        pair.close()


def by_words(pair: Pair, query: str, access: Access = ALL) -> list[int]:
    return [chunk_id for chunk_id, _ in pair.lexical.search(query, 10, access)]


def by_vector(pair: Pair, query: str, access: Access = ALL) -> list[int]:
    return [chunk_id for chunk_id, _ in pair.dense.search(vectors([query])[0], 10, access)]


def test_what_is_put_replaced_moved_and_removed_is_in_force_for_the_next_search(
    store: Store, opened: Open
) -> None:
    pair = opened()
    commit(store, "/a.txt", "notice period", "travel costs")
    assert found(pair, store, "notice") == {"notice period", "travel costs"}
    commit(store, "/a.txt", "parental leave")
    assert found(pair, store, "notice") == {"parental leave"}
    level(pair, store)
    move(store, "/a.txt", "/quokka.txt")
    pair.catch_up()
    assert by_words(pair, "quokka"), "the new file name is searched"
    level(pair, store)
    store.remove_sources("docs", ["/quokka.txt"])
    assert found(pair, store, "notice parental leave quokka") == set()
    level(pair, store)


def test_two_processes_see_each_others_changes(store: Store, opened: Open) -> None:
    commit(store, "/a.txt", "notice period")
    one, other = opened(), opened()
    commit(store, "/b.txt", "a longer notice")
    assert found(one, store, "notice") == {"notice period", "a longer notice"}
    store.remove_sources("docs", ["/a.txt"])
    assert found(other, store, "notice") == {"a longer notice"}
    assert found(one, store, "notice") == {"a longer notice"}
    level(one, store)
    level(other, store)


def test_more_changes_than_one_batch_are_applied(
    store: Store, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.search.indexes.REPLAY_BATCH", 3)
    monkeypatch.setattr("rag.search.milvus.BATCH", 3)
    pair = opened()
    for n in range(4):
        commit(store, "/replaced.txt", f"version {n}")
        commit(store, f"/{n}.txt", f"text {n}", f"more of {n}")
    store.remove_sources("docs", ["/0.txt", "/2.txt"])
    level(pair, store)
    assert "version 3" in found(pair, store, "version")
    assert "version 2" not in found(pair, store, "version")


def test_neither_branch_finds_what_may_not_be_read(store: Store, opened: Open) -> None:
    pair = opened()
    for name in ("ann", "bob"):
        store.permissions.add_principal("user", name)
    commit(store, "/open.txt", "the salary of staff")
    store.permissions.grant("docs", "user:ann", "read")
    store.permissions.grant("docs", "user:bob", "read")
    commit(store, "/closed.txt", "the salary of the board", collection="board")
    commit(store, "/limited.txt", "the salary of bob")
    store.permissions.limit("docs", "/limited.txt", ["user:bob"])
    pair.catch_up()
    ann, bob = store.access_of_user("ann"), store.access_of_user("bob")
    nowhere = Access(frozenset({"elsewhere"}))
    everything = store.access_to_all()
    for access, n in ((ann, 1), (bob, 2), (everything, 3), (NOBODY, 0), (nowhere, 0)):
        assert len(by_words(pair, "salary", access)) == n
        assert len(by_vector(pair, "salary board", access)) == n


def test_what_was_indexed_is_there_for_the_next_process(
    store: Store, where: Where, opened: Open
) -> None:
    commit(store, "/a.txt", "notice period")
    commit(store, "/b.txt", "travel costs")
    refresh_snapshots(store, MODEL, DIM, where, lambda _: None)
    pair = opened()
    assert not pair.rebuilt
    assert found(pair, store, "notice") == {"notice period", "travel costs"}
    level(pair, store)


def test_an_empty_store_has_empty_indexes(store: Store, opened: Open) -> None:
    pair = opened()
    assert pair.dense.search(np.ones(DIM, np.float32), 5, ALL) == []
    assert pair.lexical.search("notice", 5, ALL) == []
    assert pair.lexical.idf("notice", "en", ALL) > 0
    level(pair, store)


def test_a_rebuild_holds_what_the_store_holds_and_open_processes_find_it(
    store: Store, where: Where, opened: Open
) -> None:
    commit(store, "/a.txt", "notice period", "travel costs")
    pair = opened()
    assert rebuild(store, MODEL, DIM, where, lambda _: None) == 2
    assert len(by_words(pair, "notice")) == 1
    commit(store, "/b.txt", "a longer notice")
    assert "a longer notice" in found(pair, store, "notice")
    level(pair, store)
    level(opened(), store)


def test_verify_is_content_with_it(store: Store, where: Where, opened: Open) -> None:
    commit(store, "/a.txt", "notice period", "travel costs")
    commit(store, "/b.txt", "parental leave", model_id="model-b")
    opened()
    (problem,) = verify(store, MODEL, DIM, where, lambda _: None)
    assert "1 other embedding model" in problem


def test_vectors_of_another_model_never_enter(store: Store, opened: Open) -> None:
    commit(store, "/old.txt", "notice period", model_id="model-b")
    pair = opened()
    commit(store, "/new.txt", "notice period")
    pair.catch_up()
    assert len(pair.dense.ids()) == 1
    assert len(pair.lexical.ids()) == 2, "words are words"
    assert len(opened("model-b").dense.ids()) == 1
    assert len(pair.dense.ids()) == 1, "and the first model's are left alone"


def test_vectors_are_given_back_and_are_nothing_for_what_is_not_there(
    store: Store, opened: Open
) -> None:
    commit(store, "/a.txt", "notice period", "travel costs")
    pair = opened()
    first, second = pair.dense.ids()
    given = pair.dense.vectors([second, 4711, first])
    assert given == pytest.approx(
        np.stack([vectors(["travel costs"])[0], np.zeros(DIM), vectors(["notice period"])[0]]),
        abs=1e-6,
    )


def test_words_of_no_meaning_or_of_no_document_find_nothing(store: Store, opened: Open) -> None:
    commit(store, "/a.txt", "notice period")
    pair = opened()
    for query in ("wombat", "???", "", "' or 1 == 1", "\"] and text_match(stems, 'x')"):
        assert by_words(pair, query) == [], query
    assert pair.lexical.idf("wombat", "en", ALL) > pair.lexical.idf("notic", "en", ALL) > 0


def test_every_language_finds_its_words(store: Store, opened: Open) -> None:
    texts = {
        "th": ("พนักงานมีสิทธิลาพักร้อนสิบวันต่อปี", "พักร้อน"),
        "hi": ("कर्मचारियों को वार्षिक छुट्टी मिलती है", "छुट्टियाँ"),
        "de": ("Die Kündigungsfristen betragen drei Monate", "Kündigungsfrist"),
        "ja": ("従業員は年次有給休暇を取得できます", "有給休暇"),
        "ru": ("Срок уведомления составляет три месяца", "уведомления"),
    }
    for language, (text, _) in texts.items():
        commit(store, f"/{language}.txt", text, language=language)
    pair = opened()
    for text, query in texts.values():
        chunks = store.chunks(ALL, by_words(pair, query))
        assert [chunk.chunk.text for chunk in chunks.values()] == [text]


def test_what_is_hidden_does_not_move_the_scores_of_what_is_read(
    store: Store, opened: Open
) -> None:
    commit(store, "/a.txt", "the notice of the merger", "the notice of a lease")
    pair = opened()
    before = dict(pair.lexical.search("merger notice", 10, DOCS))
    rarity = pair.lexical.idf("merger", "en", DOCS)
    for n in range(5):
        commit(store, f"/hidden{n}.txt", "the notice of the merger", collection="board")
    pair.catch_up()
    assert dict(pair.lexical.search("merger notice", 10, DOCS)) == pytest.approx(before, rel=1e-5)
    assert pair.lexical.idf("merger", "en", DOCS) == pytest.approx(rarity)


def test_what_is_forgotten_is_held_no_more(store: Store, where: Where, opened: Open) -> None:
    from rag.forget.steps import steps

    document = commit(store, "/a.txt", "notice period")
    commit(store, "/b.txt", "travel costs")
    pair = opened()
    deletion = store.erasure.begin_documents(store.erasure.of_document(document))
    assert list(steps(store, deletion))
    assert pair.drop_forgotten()
    assert not pair.drop_forgotten(), "once"
    assert not pair.lexical.has_document(document)
    assert found(pair, store, "notice") == {"travel costs"}
    level(pair, store)


SENTENCES = [
    f"{subject} {verb} the {thing} {when}"
    for subject in ("Employees", "Managers", "The landlord")
    for verb in ("pays", "reports", "cancels")
    for thing in ("notice period", "travel costs", "insurance premium", "security deposit")
    for when in ("within thirty days", "before the end of the year")
]


def test_milvus_ranks_as_the_embedded_pair_does(store: Store, milvus: IndexServer) -> None:
    for n, sentence in enumerate(SENTENCES):
        commit(store, f"/{n}.txt", sentence, "a page that says something else", title=f"No. {n}")
    server = emptied(milvus)
    with (
        open_indexes(store, MODEL, DIM, "auto", print) as embedded,
        open_indexes(store, MODEL, DIM, server, print) as shared,
    ):
        for query in ("landlord's deposit", "when do managers report premiums", "travel costs"):
            vector = vectors([query])[0]
            exact = embedded.dense.search(vector, 10, DOCS)
            assert dict(shared.dense.search(vector, 10, DOCS)) == pytest.approx(
                dict(exact), abs=1e-4
            )
            mine = dict(embedded.lexical.search(query, 100, DOCS))
            theirs = dict(shared.lexical.search(query, 100, DOCS))
            assert mine.keys() == theirs.keys()
            # Tantivy keeps lengths in steps and averages over all languages' fields.
            assert theirs == pytest.approx(mine, rel=0.05)
            assert np.corrcoef(list(mine.values()), [theirs[i] for i in mine])[0, 1] > 0.98


def test_fields_lengths_are_learnt_once_there_is_something_to_learn_from(
    store: Store, milvus: IndexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.search.milvus.ENOUGH", 3)
    server = emptied(milvus)
    with open_indexes(store, MODEL, DIM, server, print) as pair:
        commit(store, "/a.txt", "notice period", "travel costs", "parental leave")
        pair.catch_up()
        before = dict(pair.lexical.search("leave", 10, DOCS))
        assert pair.outgrown()
        refresh_snapshots(store, MODEL, DIM, server, print)
        commit(store, "/b.txt", "insurance")
        pair.catch_up()
        assert not pair.outgrown()
        (chunk_id,) = before
        assert dict(pair.lexical.search("leave", 10, DOCS))[chunk_id] < before[chunk_id]
