"""The client's own side against the real API: conversations, feedback, account, uploads, runs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from api_house import House, open_house

from rag.client import Asked, Client, Final, Problem
from rag.client.documents import Filter

QUESTION = "How many days of annual leave do employees get?"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, model_home: Path) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("client"), model_home / "models") as house:
        yield house


@contextmanager
def client_of(house: House, name: str) -> Iterator[Client]:
    session = house.live.session(house.store.user_number(name))
    with Client(house.live.url, session=session) as client:
        yield client


def answered(client: Client, conversation_id: int) -> Final:
    *_, final = client.ask(Asked(QUESTION, conversation_id=conversation_id))
    assert isinstance(final, Final)
    return final


def test_a_conversation_goes_from_its_first_question_to_its_end(house: House) -> None:
    with client_of(house, "ann") as ann:
        talk = ann.conversations.create()
        final = answered(ann, talk.id)
        ann.feedback.give(final.request_id, "up", "Right.")
        [turn] = ann.conversations.read(talk.id).turns
        assert (turn.id, turn.request_id, turn.rating) == (final.turn_id, final.request_id, "up")
        assert (turn.answer.answer, turn.answer.citations) == (final.answer, final.citations)
        assert ann.conversations.rename(talk.id, "Leave").title == "Leave"
        assert [each.title for each in ann.conversations.list().conversations] == ["Leave"]
        assert json.loads(ann.conversations.export(talk.id))["title"] == "Leave"
        assert ann.conversations.export(talk.id, "markdown").startswith(b"# Leave\n")
        ann.conversations.delete(talk.id)
        with pytest.raises(Problem) as gone:
            ann.conversations.read(talk.id)
        assert gone.value.status == 404


def test_conversations_and_turns_come_page_by_page(house: House) -> None:
    with client_of(house, "max") as client:
        made = [client.conversations.create(f"Talk {number}").id for number in range(3)]
        first = client.conversations.list(limit=2)
        rest = client.conversations.list(cursor=first.next_cursor)
        assert [talk.id for talk in (*first.conversations, *rest.conversations)] == made[::-1]
        assert rest.next_cursor is None


def test_an_account_is_its_own(house: House) -> None:
    with client_of(house, "ann") as ann, client_of(house, "ann") as elsewhere:
        me = ann.account.me()
        assert (me.name, me.kind, me.has_password) == ("ann", "session", False)
        assert [(granted.name, granted.right) for granted in me.collections] == [("hr", "read")]
        own = [session.current for session in ann.account.sessions()]
        assert own.count(True) == 1
        ann.account.set_password("a sentence is good")  # came by a link, so needs no other
        with pytest.raises(Problem) as ended:
            elsewhere.account.me()
        assert ended.value.status == 401
        ann.account.sign_out()
        with pytest.raises(Problem) as out:
            ann.account.me()
        assert out.value.status == 401


def test_a_session_elsewhere_is_ended(house: House) -> None:
    with client_of(house, "bob") as bob, client_of(house, "bob") as elsewhere:
        [other] = [each for each in bob.account.sessions() if not each.current]
        bob.account.end_session(other.id)
        with pytest.raises(Problem):
            elsewhere.account.me()


def test_a_file_is_brought_in_watched_and_taken_out(house: House) -> None:
    with client_of(house, "max") as client:
        sent = client.uploads.add("hr", "Gäste & Co.md", b"# Guests\n\nGuests park at the gate.")
        assert sent.run is not None
        *_, run = client.runs.watch(sent.run.id)
        assert (run.state, run.ended, run.kind) == ("done", True, "upload")
        assert run.document_id is not None
        assert client.documents.read(run.document_id).name == "Gäste & Co.md"
        assert client.runs.list(limit=1).runs == (client.runs.read(run.id),)
        again = client.uploads.add("hr", "b.md", b"# Guests\n\nGuests park at the gate.")
        assert again.document is not None and again.run is None
        assert [each.name for each in client.collections.list() if each.right == "manage"] == ["hr"]
        assert client.documents.list(Filter("Guests", ("hr",))).documents[0].id == run.document_id
        assert client.uploads.delete(run.document_id).document_id == run.document_id


def test_a_reader_neither_uploads_nor_deletes(house: House) -> None:
    with client_of(house, "ann") as ann:
        for attempt in (
            lambda: ann.uploads.add("hr", "a.md", b"# A"),
            lambda: ann.uploads.delete(ann.documents.list().documents[0].id),
            lambda: ann.runs.start("hr", "/srv"),
        ):
            with pytest.raises(Problem) as refused:
                attempt()
            assert refused.value.status == 403
