"""`rag.client` against the API: each subject there and back, and what it does about trouble."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import api_samples
import pytest
from api_house import House, open_house
from api_live import TOKEN
from msgspec import structs

from rag.client import Client, Problem
from rag.client.audit import Sought
from rag.client.documents import Filter

PROGRAMS = Path(__file__).parents[2] / "docs" / "programs.md"
STARTED = datetime.now(UTC) - timedelta(hours=1)
# Each answer says that its connection ends: a client that kept it would write to one that is going.
END = b"Connection: close\r\n\r\n"
BUSY = (b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n" + END, "")
DONE = (b"HTTP/1.1 201 Made\r\nContent-Length: 16\r\n" + END, '{"name": "team"}')
CUT = (b"", "")  # the connection ends without an answer
LONG = (b"HTTP/1.1 429 Too Many\r\nRetry-After: 3600\r\nContent-Length: 0\r\n" + END, "")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("client"), models) as house:
        yield house


@pytest.fixture(scope="module")
def operator(house: House) -> Iterator[Client]:
    """The client of who may everything."""
    with Client(house.live.url, key=TOKEN) as client:
        yield client


def test_people_come_into_groups_and_roles_and_go(operator: Client) -> None:
    people = operator.people
    assert people.add_user("eva.b+c@example").roles == ()
    assert people.add_group("staff") == people.group("staff")
    assert people.join("staff", "eva.b+c@example").members == ("eva.b+c@example",)
    assert people.user("eva.b+c@example").groups == ("staff",)
    assert people.give_role("eva.b+c@example", "auditor").roles == ("auditor",)
    assert people.set_disabled("eva.b+c@example", True).disabled
    assert people.take_role("eva.b+c@example", "auditor").roles == ()
    assert people.leave("staff", "eva.b+c@example").members == ()
    assert "token=" in people.login_link("ann").url
    people.remove_user("eva.b+c@example")
    people.remove_group("staff")
    assert "eva.b+c@example" not in {user.name for user in people.users()}
    assert "staff" not in {group.name for group in people.groups()}


def test_a_collection_is_made_granted_limited_and_removed(operator: Client) -> None:
    assert operator.collections.create("team") == "team"
    granted = operator.access.grant("team", "user:ann", "read")
    assert granted in operator.access.grants("team")
    limit = operator.access.limit("hr", "/srv/documents/scan.png", ["user:ann"])
    listed = structs.replace(limit, origin="command")
    assert listed in operator.access.limits("hr")
    operator.access.unlimit("hr", "/srv/documents/scan.png")
    assert listed not in operator.access.limits("hr")
    assert operator.access.revoke("team", "user:ann")
    assert not operator.access.revoke("team", "user:ann")
    assert operator.collections.delete("team").n_documents_removed == 0
    assert "team" not in {each.name for each in operator.collections.list()}


def test_documents_are_filtered_read_and_deleted(operator: Client) -> None:
    documents = operator.documents
    [handbook] = documents.every(Filter(title="handbook", collections=("hr",)))
    assert documents.read(handbook.id).right == "manage"
    assert documents.text(handbook.id, 0, 12).text == "Annual leave"
    known = documents.read_tagged(handbook.id)
    assert known is not None
    assert known.value.title == handbook.title
    assert documents.read_tagged(handbook.id, known.etag) is None
    every = {each.id for each in documents.every()}
    [gone] = documents.every(Filter(source="/srv/documents/notes.md"))
    assert "/srv/documents/notes.md" in documents.delete(gone.id).note
    assert {each.id for each in documents.every()} == every - {gone.id}


def test_a_key_is_made_used_and_revoked(house: House, operator: Client) -> None:
    made = operator.keys.make("a test", ["search"], user="ann", valid_days=1)
    with Client(house.live.url, key=made.key) as client:
        found = client.search.find("How long is the parental leave?", k=3)
        assert [hit.rank for hit in found.hits] == [*range(1, len(found.hits) + 1)]
        assert found.hits
        operator.keys.revoke(made.id)
        with pytest.raises(Problem) as caught:
            client.search.find("leave")
    assert caught.value.status == 401
    assert {key.id for key in operator.keys.list(everyone=True) if key.revoked_at} >= {made.id}


def test_settings_and_health_are_seen(operator: Client) -> None:
    settings = {each.name: each.value for each in operator.settings.list()}
    assert settings["token"] == "(set)"
    assert isinstance(settings["guard_actions"], dict)
    assert operator.health.alive().status == "ok"
    assert operator.health.ready().answers == "quotes"


def test_what_was_done_is_on_record_for_who_audits(operator: Client) -> None:
    operator.people.add_user("noa")
    records = list(operator.audit.every(Sought(since=STARTED)))
    assert "noa" in {name.removeprefix("user:") for r in records for name in r.principals.values()}
    assert [record.seq for record in records] == sorted({record.seq for record in records})
    operator.people.remove_user("noa")


def test_a_conversation_is_renamed_only_as_it_was_read(operator: Client) -> None:
    made = operator.conversations.create("Leave")
    read = operator.conversations.read_tagged(made.id)
    assert read is not None
    assert operator.conversations.rename(made.id, "Leave in 2026", if_match=read.etag).id == made.id
    with pytest.raises(Problem) as caught:
        operator.conversations.delete(made.id, if_match=read.etag)
    assert caught.value.status == 412
    operator.conversations.delete(made.id)


def test_a_name_cannot_lead_to_another_address(operator: Client) -> None:
    for name in ("..", ".", "../groups", "a/b", "a?b", "%2e%2e", "ä"):
        with pytest.raises(Problem) as caught:
            operator.people.user(name)
        assert caught.value.status == 404
        assert "user" in caught.value.detail or "/" in name


def test_a_write_that_was_cut_off_is_sent_again_with_the_same_key_and_done_once() -> None:
    with scripted(CUT, BUSY, DONE) as (url, seen), Client(url, key="k") as client:
        assert client.collections.create("team") == "team"
    keys = [key_of(request) for request in seen]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_another_write_has_another_key() -> None:
    with scripted(DONE, DONE) as (url, seen), Client(url, key="k") as client:
        client.collections.create("team")
        client.collections.create("team")
    assert key_of(seen[0]) != key_of(seen[1])


def test_a_write_that_takes_no_key_is_never_sent_again() -> None:
    with scripted(CUT, DONE) as (url, seen), Client(url, key="k") as client:
        with pytest.raises(Problem, match="cannot be reached"):
            client.keys.make("a test", ["search"])
        assert len(seen) == 1


def test_attempts_end_and_the_last_answer_is_told() -> None:
    with scripted(BUSY, BUSY, BUSY, DONE) as (url, seen), Client(url, key="k") as client:
        with pytest.raises(Problem) as caught:
            client.health.alive()
        assert (caught.value.status, len(seen)) == (503, 3)


def test_a_server_that_asks_for_an_hour_is_not_waited_for() -> None:
    with scripted(LONG, DONE) as (url, seen), Client(url, key="k") as client:
        with pytest.raises(Problem) as caught:
            client.documents.list()
        assert (caught.value.status, caught.value.retry_after_s, len(seen)) == (429, 3600, 1)


def key_of(request: str) -> str:
    """The Idempotency-Key of a request."""
    lines = request.lower().split("\r\n")
    [key] = [line for line in lines if line.startswith("idempotency-key:")]
    return key


def test_the_readme_says_how_it_is_used(
    house: House, operator: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    section = PROGRAMS.read_text().partition("## From Python")[2]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    snippet = found[1].replace("http://localhost:8000", house.live.url)
    exec(re.sub('key="<.*?>"', f'key="{TOKEN}"', snippet), {})
    shown = capsys.readouterr().out
    assert api_samples.LEAVE in shown
    assert "Handbook 2" in shown
    assert "contracts user:ann read" in shown
    operator.collections.delete("contracts")


@contextmanager
def scripted(*answers: tuple[bytes, str]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these answers, one a connection, and the requests that it got."""
    seen: list[str] = []

    def serve() -> None:
        for head, body in answers:
            try:
                connection, _ = listening.accept()
            except OSError:
                return  # nobody came any more
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                seen.append(request.decode())
                connection.sendall(head + body.encode())

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", seen
        listening.shutdown(socket.SHUT_RDWR)  # which wakes who waits for the next one
        thread.join()
