"""Audit records on the command line: listed, exported, proved, sent on."""

import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from inside import inside

from rag.acting import Actor, acting
from rag.audit.forward import Cursor, Keeper, forward, lines
from rag.audit.ocsf import activity_of, event
from rag.errors import AuditError
from rag.settings import Settings
from rag.store import Store, Wanted


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A data directory in which ann, who has been added, has searched and asked."""
    data_dir = tmp_path / "data"
    with opened(data_dir) as store:
        store.permissions.add_principal("user", "ann")
        token = acting.set(Actor("user", store.user_number("ann"), address="10.0.0.17"))
        store.audit.record("search", {"question_hash": store.audit.keyed("Where is it?")})
        store.audit.record("question", {}, private={"question": "Who is it?"})
        acting.reset(token)
    return data_dir


@contextmanager
def opened(data_dir: Path) -> Iterator[Store]:
    settings = Settings(data_dir=data_dir)
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        yield store


def test_printing_the_token_is_recorded_without_it(recorded: Path) -> None:
    token = inside(recorded, "token").out.strip()
    with opened(recorded) as store:
        newest = store.audit.read(Wanted(kind="opened"))[-1]
    assert newest.detail == {"what": "token"}
    assert newest.actor["kind"] == "operator"
    assert token and token not in str(newest)


def test_records_are_listed_and_reading_them_is_one(recorded: Path) -> None:
    listed = inside(recorded, "audit", "list", "--user", "ann").out.splitlines()
    assert len(listed) == 2
    assert "user:ann" in listed[0]
    assert listed[1].endswith("question  Who is it?  10.0.0.17")
    found = inside(recorded, "audit", "list", "--question", "Where is it?", "--json").json[
        "records"
    ]
    assert [record["kind"] for record in found] == ["search"]
    [read, _] = inside(recorded, "audit", "list", "--kind", "audit_read", "--json").json["records"]
    assert read["actor"] == {"kind": "operator", "how": "command"}
    assert read["private"]["account"]


def test_looking_at_what_was_kept_from_everyone_is_recorded(recorded: Path) -> None:
    assert inside(recorded, "blocked", "list").code == 0
    assert inside(recorded, "quarantine", "list").code == 0
    with opened(recorded) as store:
        found = store.audit.read(Wanted(kind="opened"))
    assert [record.detail["what"] for record in found] == ["blocked", "quarantine"]


def test_a_chain_is_verified_and_a_changed_one_is_not(recorded: Path) -> None:
    head = inside(recorded, "audit", "head").out.strip()
    sound = inside(recorded, "audit", "verify", "--head", head)
    assert (sound.code, "none missing" in sound.out) == (0, True)
    with sqlite3.connect(recorded / "citadel.db") as database:
        database.execute("DROP TRIGGER audit_is_not_deleted")
        database.execute("DELETE FROM audit WHERE seq = 2")
    database.close()
    broken = inside(recorded, "audit", "verify", "--json")
    assert (broken.code, broken.json["ok"]) == (1, False)
    assert broken.json["problems"][0] == "record 2 is missing"


def test_an_export_is_ocsf_line_by_line(recorded: Path, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    assert inside(recorded, "audit", "export", "-o", file).code == 0
    first, search, *_ = map(json.loads, file.read_text().splitlines())
    assert (first["class_uid"], first["activity_id"], first["type_uid"]) == (3001, 1, 300101)
    assert (search["class_name"], search["activity_name"]) == ("Datastore Activity", "Query")
    assert search["actor"]["user"]["name"] == "ann"
    assert search["src_endpoint"] == {"ip": "10.0.0.17"}
    assert (search["status"], search["metadata"]["sequence"]) == ("Success", 2)
    assert datetime.fromtimestamp(search["time"] / 1000, UTC) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--since", "yesterday"], "'yesterday' is no time"),
        (["list", "--user", "nobody"], "there is no user 'nobody'"),
        (["export", "--syslog"], "no syslog server is set"),
        (["prune"], "no time is set"),
        (["verify", "--head", "x"], "'x' is no SEQ:HASH"),
    ],
)
def test_bad_input_gets_a_clear_error(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = inside(tmp_path, "audit", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "hint: " in ended.err


KINDS = (
    "sign_in principal_added principal_removed disabled enabled joined left granted revoked limited"
    " limits_synced search question answer opened audit_read ingested moved removed forget"
    " quarantine_released quarantine_removed blocked_purged retention"
)


@pytest.mark.parametrize("kind", KINDS.split())
def test_every_kind_has_a_name_in_ocsf(kind: str) -> None:
    assert activity_of(kind).name != "Other"


LAST = b"nothing comes after this"


@contextmanager
def tcp_server() -> Iterator[tuple[str, list[bytes]]]:
    """A syslog server that keeps what it is sent."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def receive() -> None:
            while received[-1:] != [LAST]:  # connections come in their order
                connection, _ = server.accept()
                with connection, connection.makefile("rb") as stream:
                    while length := b"".join(iter(lambda: stream.read(1).strip(), b"")):
                        received.append(stream.read(int(length)))

        thread = threading.Thread(target=receive)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}", received
        with socket.create_connection(server.getsockname()) as connection:
            connection.sendall(b"%d %s" % (len(LAST), LAST))
        thread.join()
        received.remove(LAST)


def test_each_record_is_sent_once_and_after_a_failure_the_rest(
    recorded: Path, tmp_path: Path
) -> None:
    cursor = Cursor(tmp_path / "sent")
    with opened(recorded) as store:
        with pytest.raises(AuditError, match="cannot send"):
            forward(store, "tcp://127.0.0.1:1", cursor)
        assert cursor.read() == 0
        with tcp_server() as (address, received):
            assert forward(store, address, cursor) == 3
            store.audit.record("search")
            assert forward(store, address, cursor) == 1
            assert forward(store, address, cursor) == 0
        sent = [parsed(line) for line in received]
    assert [record["metadata"]["sequence"] for record in sent] == [1, 2, 3, 4]


def parsed(line: bytes) -> dict[str, Any]:
    """An RFC 5424 line's message."""
    priority_version, stamp, _host, app, _pid, message_id, structured, text = line.split(b" ", 7)
    assert (priority_version, app, structured) == (b"<109>1", b"citadel", b"-")
    datetime.fromisoformat(stamp.decode())
    found: dict[str, Any] = json.loads(text)
    assert found["metadata"]["event_code"] == message_id.decode()
    return found


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_unix_socket_may_be_of_either_kind(recorded: Path, tmp_path: Path, kind: int) -> None:
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind(path)
        if kind == socket.SOCK_STREAM:
            server.listen()
        with opened(recorded) as store:
            assert forward(store, f"unix:{path}", Cursor(tmp_path / "sent")) == 3
        taken = server if kind == socket.SOCK_DGRAM else server.accept()[0]
        assert b"citadel" in taken.recv(100_000)
        taken.close()


def test_a_server_sends_records_on_and_removes_old_ones(
    recorded: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(tmp_path / "log")
    settings = Settings(data_dir=recorded, audit_syslog=f"unix:{path}", audit_keep_days=36500)
    with opened(recorded) as store:
        keeper = Keeper(store, settings)
        assert keeper.has_work
        assert not Keeper(store, Settings(data_dir=recorded)).has_work
        keeper.work()
        keeper.work()
        assert caplog.text.count("cannot send audit records") == 1, "said once"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(path)
            keeper.work()
            assert parsed(server.recv(100_000))["metadata"]["sequence"] == 1


def test_one_who_was_forgotten_has_a_number_and_no_name(recorded: Path) -> None:
    with opened(recorded) as store:
        [_, search, _] = store.audit.read(Wanted())
        assert event(search, {})["actor"]["user"] == {
            "uid": str(search.actor["number"]),
            "name": "",
            "type": "user",
        }
        assert len(list(lines(store, [search]))) == 1
