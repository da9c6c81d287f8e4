"""Forgetting as far as the database is concerned, on both databases."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert
from store_samples import MODEL, commit, commit_mail, document, source

from rag.acting import Actor, acting
from rag.errors import Forgotten, NotFound
from rag.forget.probes import of_user
from rag.forget.steps import steps
from rag.store import Store, Wanted, Withheld, tables
from rag.store.idempotency import KeptResponse
from rag.types import Access

DOCS = Access(frozenset({"docs"}))
NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
LINE = "The foundry in Bremerhaven closes in autumn, and nobody has been told of it."


def cells(store: Store) -> str:
    return "\n".join(f"{column} {value}" for column, value in store.erasure.cells())


def converse(store: Store, *answers: tuple[int, str]) -> None:
    """A conversation of ann's, with a turn for each answer."""
    store.permissions.add_principal("user", "ann")
    owner = {"principal_id": store.user_number("ann")}
    with store._database.write() as connection:
        values = {**owner, "title": "x", "created_at": NOW, "updated_at": NOW}
        row = insert(tables.conversations).values(**values, version=1)
        number = connection.execute(row.returning(tables.conversations.c.id)).scalar_one()
        for ordinal, (document, text) in enumerate(answers):
            answer = {"answer": text, "citations": [{"document_id": document}], "depth": None}
            turn = {"conversation_id": number, "ordinal": ordinal, "request_id": "r"}
            said = {"created_at": NOW, "question": f"Question {ordinal}?", "answer": answer}
            connection.execute(insert(tables.turns).values(**turn, **said))


def test_a_document_leaves_every_table_and_the_free_space(store: Store) -> None:
    [document] = commit(store, "/a.txt", LINE)
    [other] = commit(store, "/b.txt", "Something else that nobody minds at all, really not.")
    converse(store, (document, LINE), (other, "Something else."))
    store.permissions.limit("docs", "/a.txt", [])
    done = list(steps(store, store.erasure.begin_documents(store.erasure.of_document(document))))
    assert done == ["content", "originals", "snapshots", "space"]
    left = cells(store)
    assert "Bremerhaven" not in left
    assert "/a.txt" not in left
    assert "Something else." in left
    assert store.erasure.unfinished() == []
    assert store.audit.verify().problems == []
    assert store.check() == []
    with pytest.raises(Forgotten):
        commit(store, "/elsewhere.txt", LINE)


def test_a_source_that_is_refused_keeps_no_other_out(store: Store) -> None:
    forgotten = document("/old.txt", ["What nobody may read any more."])
    was = source("/old.txt", content_sha256=forgotten.content_sha256)
    [old] = store.commit_source("docs", was, [forgotten], model_id=MODEL)
    list(steps(store, store.erasure.begin_documents(store.erasure.of_document(old))))
    made = [
        (source("/a"), [document("/a", ["first"])]),
        (source("/wrong"), [document("/other", ["not its own"])]),
        (was, [forgotten]),
        (source("/b"), [document("/b", ["last"])]),
    ]

    first, wrong, refused, last = store.commit_sources("docs", made, model_id=MODEL)

    assert isinstance(wrong, ValueError)
    assert isinstance(refused, Forgotten)
    assert [s.uri for s in store.sources("docs", "/")] == ["/a", "/b"]
    assert {d.id for d in store.list_documents(DOCS)} == {*first, *last}
    assert store.audit.verify().problems == []
    assert store.check() == []


def test_forgotten_bytes_do_not_come_in_by_an_upload_and_only_the_operator_hears_why(
    store: Store,
) -> None:
    content = f"{LINE} Sent again.".encode()
    sha256 = store.originals.put(content)
    [document] = commit(store, "/a.txt", content.decode())
    list(steps(store, store.erasure.begin_documents(store.erasure.of_document(document))))
    for actor, said in ((Actor("user", 7), "is not taken in"), (Actor("operator"), "forgotten")):
        token = acting.set(actor)
        with store.originals.arriving() as arriving, pytest.raises(Forgotten, match=said) as why:
            arriving.write(content)
            arriving.keep()
        acting.reset(token)
        assert (actor.kind == "operator") is ("forgotten" in f"{why.value.message}")
    with pytest.raises(NotFound):
        store.originals.path(sha256)


def test_what_quotes_without_citing_is_found_by_its_words(store: Store) -> None:
    [document] = commit(store, "/a.txt", LINE)
    [other] = commit(store, "/b.txt", "Something else that nobody minds at all, really not.")
    converse(store, (other, 'They say: "the FOUNDRY in Bremerhaven closes, in autumn and nobody"'))
    list(steps(store, store.erasure.begin_documents(store.erasure.of_document(document))))
    assert "FOUNDRY" not in cells(store)
    [record] = store.audit.read(Wanted(kind="forget"))
    assert record.detail["turns"] == 1


def test_a_user_leaves_a_number(store: Store) -> None:
    [document] = commit(store, "/a.txt", LINE)
    converse(store, (document, "An answer."))
    store.permissions.grant("docs", "user:ann", "read")
    store.audit.record("sign_in", outcome="failure", private={"name": "ann"})
    list(steps(store, store.erasure.begin_user("ann")))
    left = cells(store)
    assert "An answer." not in left
    assert '"ann"' not in left
    assert not [line for line in left.splitlines() if line.endswith(" ann")]
    assert LINE in left
    assert store.audit.verify().problems == []


def test_a_user_who_was_removed_before_can_still_be_forgotten(store: Store) -> None:
    store.permissions.add_principal("user", "ann")
    number = store.user_number("ann")
    store.permissions.remove_principal("user", "ann")
    assert store.audit.names([number]) == {number: "user:ann"}
    list(steps(store, store.erasure.begin_user("ann")))
    assert store.audit.names([number]) == {}
    assert " ann" not in cells(store)
    with pytest.raises(NotFound):
        store.erasure.begin_user("ann")


def test_a_turn_that_is_noted_as_quoting_needs_no_other_sign(store: Store) -> None:
    [document] = commit(store, "/a.txt", LINE)
    converse(store, (0, "In autumn it will be over with the works."))
    with store._database.write() as connection:
        noted = {"turn_id": 1, "document_id": document}
        connection.execute(insert(tables.turn_documents).values(**noted))
    list(steps(store, store.erasure.begin_documents(store.erasure.of_document(document))))
    assert "over with the works" not in cells(store)


def written(question: str, text: str, **fields: object) -> dict[str, object]:
    """An answer as an engine gives it."""
    lists: dict[str, object] = {name: [] for name in ("citations", "related", "steps", "notices")}
    searched = {"query": fields.pop("query", question), "collections": ["docs"]}
    whole = {"status": "answered", "question": question, "answer": text, "searched": searched}
    return {**whole, **lists, "request_id": question, "depth": "quick", **fields}


def test_a_turn_that_read_and_cites_nothing_goes_with_what_leans_on_it_and_was_said_of_it(
    store: Store,
) -> None:
    [document] = commit(store, "/a.txt", LINE)
    store.permissions.add_principal("user", "ann")
    ann, talks = store.user_number("ann"), store.conversations
    begun, other = talks.create(ann, "Works").id, talks.create(ann, "Else").id
    told = written("What of the works?", "They are to be shut.")
    leaning = written("Why?", "As they are to be shut.")
    quoting = written("When is lunch?", "At noon.", depth=None)
    for answer in (quoting, told, leaning, quoting):
        talks.append(ann, begun, answer, [document] if answer is told else [])
    talks.append(ann, other, written("What else?", "Nothing else."))
    for question in ("What of the works?", "What else?"):
        store.feedback.give(ann, question, 1, f"A comment on {question}")
    store.withheld.keep(
        Withheld(NOW, "Why?", "blocked", "answer", ("S1",), 0.9, "", "?", "Cut off.", (), "llama")
    )
    list(steps(store, store.erasure.begin_documents(store.erasure.of_document(document))))
    left = cells(store)
    assert "to be shut" not in left
    assert "Cut off." not in left
    assert "A comment on What of the works?" not in left
    turns = talks.turns(store.access_to_all(), ann, begun)
    assert [turn.answer["answer"] for turn in turns if "noon" in turn.answer["answer"]] == [
        "At noon.",
        "At noon.",
    ]
    assert "Nothing else." in left
    assert "A comment on What else?" in left


def test_a_forgotten_user_is_in_no_record_of_what_others_did(store: Store) -> None:
    store.permissions.add_principal("user", "ann")
    store.permissions.add_principal("user", "anna")
    ann, operator = store.user_number("ann"), store.operator_number()
    commit(store, "/a.txt", LINE)
    store.directory.link("ann", "https://id.example", "subject-of-the-person")
    store.keys.add(ann, "the phone in her kitchen", ["search"])
    upload = store.runs.add_upload("docs", ann, "her-letter.pdf", "0" * 64)
    for name in ("ann", "anna"):
        body = json.dumps({"members": [name], "to": f"user:{name}"})
        reply = KeptResponse(201, {"location": f"/v1/users/{name}"}, body)
        assert store.idempotency.claim(operator, name * 3, "0") is None
        store.idempotency.keep(operator, name * 3, reply)
    probes = of_user(store, "ann")
    assert {column for column, value in store.erasure.cells() if probes.in_cell(column, value)} >= {
        "idempotency.response"
    }
    list(steps(store, store.erasure.begin_user("ann")))
    left = cells(store)
    for told in ("subject-of-the-person", "the phone in her kitchen", "her-letter.pdf"):
        assert told not in left
    assert not [c for c, value in store.erasure.cells() if probes.in_cell(c, value)]
    assert store.idempotency.claim(operator, "anna" * 3, "0") is not None, "another's stays"
    assert store.runs.one(upload).principal_id == ann, "the run stays as a number"
    assert store.audit.verify().problems == []


def test_what_is_begun_is_known_until_it_is_ended(store: Store) -> None:
    commit_mail(store, "/m.eml", "a.txt")
    begun = store.erasure.begin_documents(store.erasure.of_path("/m.eml"))
    assert [each.id for each in store.erasure.unfinished()] == [begun.id]
    left = steps(store, begun)
    assert next(left) == "content"
    [half] = store.erasure.unfinished()
    assert (half.step, store.erasure.newest()) == ("originals", 0)
    list(steps(store, half))
    assert (store.erasure.unfinished(), store.erasure.newest()) == ([], begun.id)
    with pytest.raises(NotFound):
        store.erasure.of_path("/m.eml")
