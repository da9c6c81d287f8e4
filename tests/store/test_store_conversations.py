"""What the store keeps of conversations, and what of them is shown to whom and when."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import update
from store_samples import commit

from rag.errors import Conflict, KeyReused, NotFound, PreconditionFailed
from rag.store import Store, tables
from rag.store.idempotency import CLAIM_S, KEPT_S, KeptResponse
from rag.store.kept_answers import PARTS, WHOLE

Json = dict[str, Any]


def citation(document_id: int, number: int, start: int, text: str) -> Json:
    """A citation of a sentence of the answer, as the wire writes it."""
    span = {"answer_start": start, "answer_end": start + len(text)}
    title, uri = f"Title of {document_id}", f"/docs/{document_id}"
    return {
        "id": number,
        "document_id": document_id,
        "title": title,
        "source_uri": uri,
        "cited_text": text,
        **span,
    }


def answer(
    *quotes: tuple[int, str], question: str = "How long?", request_id: str = "request-1"
) -> Json:
    """An answer of quotes, each of a document; without any, one that found nothing."""
    text, citations = "", []
    for number, (document_id, quote) in enumerate(quotes, 1):
        text += "\n\n" if text else ""
        citations.append(citation(document_id, number, len(text), quote))
        text += quote
    return {
        "status": "answered" if quotes else "no_evidence",
        "question": question,
        "answer": text,
        "citations": citations,
        "related": [],
        "searched": {
            "query": f"rewritten {question}",
            "collections": ["docs"],
            "n_documents": 77,
            "n_hits": 40,
        },
        "evidence": 0.9,
        "support": {"sentences": len(quotes)},
        "unsupported": [],
        "steps": [{"number": 1, "tool": "open_document", "detail": "Title of a secret"}],
        "timings_ms": {"total": 3.0},
        "usage": None,
        "request_id": request_id,
        "conversation_id": None,
        "turn_id": None,
    }


@pytest.fixture
def ann(store: Store) -> int:
    """A user who may read two documents."""
    commit(store, "/docs/leave", "The leave is 28 days.")
    commit(store, "/docs/pay", "The pay is 900 euros.")
    store.permissions.add_principal("user", "ann")
    store.permissions.add_principal("user", "bob")
    store.permissions.grant("docs", "user:ann", "read")
    return store.user_number("ann")


LEAVE, PAY = (1, "The leave is 28 days."), (2, "The pay is 900 euros.")


def seen(store: Store, owner: int, conversation_id: int) -> list[tuple[str, str]]:
    """Answers and what is said to be missing, as their owner may see them now."""
    access = store.access_of_number(owner)
    turns = store.conversations.turns(access, owner, conversation_id)
    return [(turn.answer["answer"], turn.withheld) for turn in turns]


def test_a_conversation_keeps_its_turns_and_is_named_by_its_first_question(
    store: Store, ann: int
) -> None:
    talk = store.conversations.create(ann)
    store.conversations.append(ann, talk.id, answer(LEAVE, question="How  long\nis it?"))
    store.conversations.append(ann, talk.id, answer(question="And the " + "very " * 50 + "end?"))
    found = store.conversations.one(ann, talk.id)
    assert (found.title, found.n_turns, found.version) == ("How long is it?", 2, 3)
    assert seen(store, ann, talk.id) == [(LEAVE[1], ""), ("", "")]
    access = store.access_of_number(ann)
    [later] = store.conversations.turns(access, ann, talk.id, after=1)
    assert later.ordinal == 2
    assert store.conversations.history(access, ann, talk.id, 50) == [
        ("How  long\nis it?", LEAVE[1])
    ]


def test_what_cannot_be_held_against_access_later_is_not_kept(store: Store, ann: int) -> None:
    talk = store.conversations.create(ann)
    store.conversations.append(ann, talk.id, answer(LEAVE))
    [turn] = store.conversations.turns(store.access_of_number(ann), ann, talk.id)
    assert "Title of a secret" not in str(turn.answer)
    assert turn.answer["searched"].keys() == {"query", "collections"}


@pytest.mark.parametrize("how", ["revoked", "limited", "deleted", "disabled"])
def test_an_answer_whose_document_may_not_be_read_now_is_withheld(
    store: Store, ann: int, how: str
) -> None:
    talk = store.conversations.create(ann, "Leave")
    store.conversations.append(ann, talk.id, answer(LEAVE))
    store.conversations.append(ann, talk.id, answer(question="And then?"))
    if how == "revoked":
        store.permissions.revoke("docs", "user:ann")
    elif how == "limited":
        store.permissions.limit("docs", "/docs/leave", ["user:bob"])
    elif how == "deleted":
        store.remove_sources("docs", ["/docs/leave"])
    else:
        store.permissions.set_disabled("ann", True)
    access = store.access_of_number(ann)
    first, then = store.conversations.turns(access, ann, talk.id)
    assert (first.answer["answer"], first.withheld) == ("", WHOLE)
    for word in ("28", "Title", "/docs/", "rewritten", "77", "40"):
        assert word not in str(first.answer).replace(str(first.request_id), ""), word
    assert (first.answer["evidence"], first.answer["support"]) == (None, None)
    assert then.answer["searched"]["query"] == "And then?", "a model that had read it wrote this"
    assert store.conversations.history(access, ann, talk.id, 50) == [("How long?", "")]


def test_a_right_that_comes_back_brings_the_answer_back(store: Store, ann: int) -> None:
    talk = store.conversations.create(ann)
    store.conversations.append(ann, talk.id, answer(LEAVE))
    store.permissions.revoke("docs", "user:ann")
    assert seen(store, ann, talk.id) == [("", WHOLE)]
    store.permissions.grant("docs", "user:ann", "read")
    assert seen(store, ann, talk.id) == [(LEAVE[1], "")]


def test_what_quotes_other_documents_stays_and_is_counted_anew(store: Store, ann: int) -> None:
    talk = store.conversations.create(ann)
    store.conversations.append(ann, talk.id, answer(LEAVE, PAY, (2, "It is paid monthly.")))
    store.permissions.limit("docs", "/docs/leave", ["user:bob"])
    access = store.access_of_number(ann)
    [turn] = store.conversations.turns(access, ann, talk.id)
    assert turn.withheld == PARTS
    text = turn.answer["answer"]
    assert text == "The pay is 900 euros.\n\nIt is paid monthly."
    cited = [(c["id"], text[c["answer_start"] : c["answer_end"]]) for c in turn.answer["citations"]]
    assert cited == [(1, "The pay is 900 euros."), (2, "It is paid monthly.")]
    assert store.conversations.history(access, ann, talk.id, 5) == [("How long?", text)]


def test_beside_something_withheld_only_what_is_borne_out_stays(store: Store, ann: int) -> None:
    """A heading, an uncited or unsupported sentence may say what the hidden document says."""
    written = answer(LEAVE, PAY, (2, "Both are from 2026."))
    written["answer"] = "Leave of 28 days\n\n" + written["answer"] + "\n\nSo 28 and 900."
    for each in written["citations"]:
        each["answer_start"] += len("Leave of 28 days\n\n")
        each["answer_end"] += len("Leave of 28 days\n\n")
    last = written["citations"][-1]
    written["unsupported"] = [{"start": last["answer_start"], "end": last["answer_end"]}]
    talk = store.conversations.create(ann)
    store.conversations.append(ann, talk.id, written)
    assert seen(store, ann, talk.id) == [(written["answer"], "")]
    store.permissions.limit("docs", "/docs/leave", ["user:bob"])
    assert seen(store, ann, talk.id) == [(PAY[1], PARTS)]


def test_a_heading_stays_with_the_sentences_around_it(store: Store, ann: int) -> None:
    written = answer(LEAVE, PAY, (2, "It is paid monthly."))
    last = written["citations"][-1]
    heading = "Payment\n\n"
    at = last["answer_start"]
    written["answer"] = written["answer"][:at] + heading + written["answer"][at:]
    for edge in ("answer_start", "answer_end"):
        last[edge] += len(heading)
    talk = store.conversations.create(ann)
    store.conversations.append(ann, talk.id, written)
    store.permissions.limit("docs", "/docs/leave", ["user:bob"])
    assert seen(store, ann, talk.id) == [
        ("The pay is 900 euros.\n\nPayment\n\nIt is paid monthly.", PARTS)
    ]


@pytest.mark.parametrize("closed", ["read for it", "quoted before it"])
def test_what_is_not_borne_out_goes_with_anything_that_may_have_been_its_source(
    store: Store, ann: int, closed: str
) -> None:
    """An unsupported sentence of an engine may repeat what it has read and does not cite."""
    written = answer(PAY, (2, "And 28 days."))
    last = written["citations"][-1]
    written["unsupported"] = [{"start": last["answer_start"], "end": last["answer_end"]}]
    supported, talk = answer(PAY), store.conversations.create(ann)
    for said in (supported, written):
        if closed == "read for it":
            store.conversations.append(ann, talk.id, said, read=[1, 2])
        else:
            store.conversations.append(ann, talk.id, answer(LEAVE))
            store.conversations.append(ann, talk.id, said)
    assert (written["answer"], "") in seen(store, ann, talk.id)
    store.permissions.limit("docs", "/docs/leave", ["user:bob"])
    now = seen(store, ann, talk.id)
    assert (supported["answer"], "") in now
    assert now[-1] == (PAY[1], PARTS)


def test_a_query_goes_with_what_was_read_before_it_though_nothing_cites_it(
    store: Store, ann: int
) -> None:
    talk = store.conversations.create(ann)
    store.conversations.append(ann, talk.id, answer(PAY), read=[1, 2])
    store.conversations.append(ann, talk.id, answer(PAY, question="And then?"))

    def queries() -> list[str]:
        access = store.access_of_number(ann)
        turns = store.conversations.turns(access, ann, talk.id, after=1)
        return [turn.answer["searched"]["query"] for turn in turns]

    assert queries() == ["rewritten And then?"]
    store.permissions.limit("docs", "/docs/leave", ["user:bob"])
    assert queries() == ["And then?"], "the model that wrote it had read of the leave"


def test_spans_that_cannot_be_told_apart_withhold_everything(store: Store, ann: int) -> None:
    tangled = answer(LEAVE, PAY)
    tangled["citations"][1]["answer_start"] -= 10
    talk = store.conversations.create(ann)
    store.conversations.append(ann, talk.id, tangled)
    store.permissions.limit("docs", "/docs/leave", ["user:bob"])
    assert seen(store, ann, talk.id) == [("", WHOLE)]


def test_related_passages_are_held_against_access_too(store: Store, ann: int) -> None:
    nothing = answer()
    nothing["related"] = [
        {"document_id": 1, "rank": 1, "text": LEAVE[1]},
        {"document_id": 2, "rank": 2, "text": PAY[1]},
    ]
    talk = store.conversations.create(ann)
    store.conversations.append(ann, talk.id, nothing)
    store.permissions.limit("docs", "/docs/leave", ["user:bob"])
    [turn] = store.conversations.turns(store.access_of_number(ann), ann, talk.id)
    assert [(hit["rank"], hit["text"]) for hit in turn.answer["related"]] == [(1, PAY[1])]
    assert turn.withheld == PARTS


def test_another_has_no_way_to_a_conversation(store: Store, ann: int) -> None:
    bob = store.user_number("bob")
    talk = store.conversations.create(ann, "Private")
    access = store.access_to_all()
    talks = store.conversations
    attempts: tuple[Callable[[int], object], ...] = (
        lambda number: talks.one(bob, number),
        lambda number: talks.turns(access, bob, number),
        lambda number: talks.history(access, bob, number, 5),
        lambda number: talks.rename(bob, number, "Mine"),
        lambda number: talks.delete(bob, number),
        lambda number: talks.append(bob, number, answer()),
    )
    for number, attempt in product((talk.id, 999, 2**70), attempts):
        with pytest.raises(NotFound, match=f"^no conversation {number}$"):
            attempt(number)
    assert store.conversations.listed(bob, 10) == []
    assert store.conversations.one(ann, talk.id) == talk


def test_a_change_meant_for_another_version_is_not_made(store: Store, ann: int) -> None:
    talk = store.conversations.create(ann, "First")
    renamed = store.conversations.rename(ann, talk.id, "Second", talk.version)
    assert (renamed.title, renamed.version) == ("Second", 2)
    with pytest.raises(PreconditionFailed, match="has been changed"):
        store.conversations.rename(ann, talk.id, "Third", talk.version)
    with pytest.raises(PreconditionFailed):
        store.conversations.delete(ann, talk.id, talk.version)
    store.conversations.delete(ann, talk.id, renamed.version)
    assert store.conversations.listed(ann, 10) == []


def test_pages_of_a_list_hold_every_conversation_once_whatever_comes_in_between(
    store: Store, ann: int
) -> None:
    numbers = [store.conversations.create(ann).id for _ in range(7)]
    listed, before = [], None
    while page := store.conversations.listed(ann, 2, before):
        listed += [each.id for each in page]
        before = (page[-1].updated_at, page[-1].id)
        store.conversations.create(ann)
    assert listed == numbers[::-1]


def test_feedback_is_given_once_for_an_own_answer_and_goes_with_it(store: Store, ann: int) -> None:
    bob = store.user_number("bob")
    talk = store.conversations.create(ann)
    store.conversations.append(ann, talk.id, answer(LEAVE))
    store.feedback.give(ann, "request-1", 1, "")
    store.feedback.give(ann, "request-1", -1, "wrong year")
    with pytest.raises(NotFound):
        store.feedback.give(bob, "request-1", 1, "")
    [given] = store.feedback.listed(10)
    assert (given.user, given.rating, given.comment) == ("ann", -1, "wrong year")
    assert store.feedback.listed(10, given.id) == []
    [turn] = store.conversations.turns(store.access_of_number(ann), ann, talk.id)
    assert turn.rating == -1
    store.conversations.delete(ann, talk.id)
    assert store.feedback.listed(10) == []


def test_whoever_is_removed_leaves_no_conversation(store: Store, ann: int) -> None:
    talk = store.conversations.create(ann)
    store.conversations.append(ann, talk.id, answer(LEAVE))
    store.idempotency.claim(ann, "key", "sha")
    store.permissions.remove_principal("user", "ann")
    with pytest.raises(NotFound):
        store.conversations.owner_of(talk.id)
    with store._database.read() as connection:
        for table in (tables.turns, tables.turn_documents, tables.idempotency):
            assert connection.execute(table.select()).all() == [], table.name


def test_a_key_stands_for_one_request_of_one_caller(store: Store, ann: int) -> None:
    bob, keys = store.user_number("bob"), store.idempotency
    assert keys.claim(ann, "key", "sha") is None
    assert keys.claim(bob, "key", "other") is None
    with pytest.raises(Conflict):
        keys.claim(ann, "key", "sha")
    kept = KeptResponse(201, {"etag": '"1"'}, '{"title": "ä"}')
    keys.keep(ann, "key", kept)
    assert keys.claim(ann, "key", "sha") == kept
    with pytest.raises(KeyReused):
        keys.claim(ann, "key", "other")
    keys.release(ann, "key")
    assert keys.claim(ann, "key", "sha") == kept, "what is done cannot be given up"
    keys.release(bob, "key")
    assert keys.claim(bob, "key", "third") is None


@pytest.mark.parametrize(("kept", "age_s"), [(True, KEPT_S), (False, CLAIM_S)])
def test_a_key_is_free_again_after_its_time(
    store: Store, ann: int, kept: bool, age_s: float
) -> None:
    def aged(age_s: float) -> None:
        then = datetime.now(UTC) - timedelta(seconds=age_s)
        with store._database.write() as connection:
            connection.execute(update(tables.idempotency).values(created_at=then))

    store.idempotency.claim(ann, "key", "sha")
    if kept:
        store.idempotency.keep(ann, "key", KeptResponse(204, {}, ""))
    aged(age_s - 60)
    with pytest.raises(KeyReused):
        store.idempotency.claim(ann, "key", "other")
    aged(age_s + 60)
    assert store.idempotency.claim(ann, "key", "other") is None


def test_no_word_of_a_closed_document_is_in_any_answer_whatever_its_shape(
    store: Store, ann: int
) -> None:
    """Random answers of words that name their document: seen are those of the open one only."""
    rng = random.Random(7)
    talk = store.conversations.create(ann)
    for turn in range(40):
        sentences = [
            (number, f"word{number}a word{number}b number {rng.random()}.")
            for number in rng.choices((1, 2), k=rng.randrange(5))
        ]
        said = answer(*sentences, request_id=f"request-{turn}")
        if said["citations"] and rng.random() < 0.5:
            one = rng.choice(said["citations"])
            also = dict(one, document_id=rng.choice((1, 2)), id=9, cited_text="")
            said["citations"].append(also | {"title": "", "source_uri": ""})
        said["related"] = [
            {"document_id": number, "rank": 1, "text": f"word{number}c"}
            for number in rng.choices((1, 2), k=rng.randrange(3))
        ]
        store.conversations.append(ann, talk.id, said)
    store.permissions.limit("docs", "/docs/leave", ["user:bob"])
    access = store.access_of_number(ann)
    turns = store.conversations.turns(access, ann, talk.id)
    told = str(turns) + str(store.conversations.history(access, ann, talk.id, 50))
    for word in ("word1", "Title of 1", "/docs/1", "'document_id': 1"):
        assert word not in told
    assert "word2a" in told
    for turn in turns:
        text = turn.answer["answer"]
        for each in turn.answer["citations"]:
            assert each["cited_text"] in ("", text[each["answer_start"] : each["answer_end"]])
