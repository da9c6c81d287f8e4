"""The audit chain: what is recorded, and that whatever is done to the records shows."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from store_samples import DIM, MODEL, commit, commit_mail, failed, source, vectors

from rag.acting import Actor, acting
from rag.errors import BadRequest, StoreError
from rag.store import Model, Record, Said, Store, Terms, Unembedded, Vouched, Wanted
from rag.store.audit import canonical, hashed
from rag.types import Vectors

HERE = Path(__file__).parent
ANN = Actor("user", 7, how="session", request_id="request-1", address="10.0.0.17")


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Store]:
    """A SQLite store with eight records."""
    url = f"sqlite:///{tmp_path / 'citadel.db'}"
    with Store.open(url, data_dir=tmp_path) as store:
        token = acting.set(ANN)
        for number in range(1, 9):
            store.audit.record("search", {"number": number}, private={"question": f"q{number}"})
        acting.reset(token)
        yield store


def records(store: Store, **wanted: Any) -> list[Record]:
    return store.audit.read(Wanted(**{"limit": 1000, **wanted}))


def tamper(store: Store, *statements: str) -> None:
    """Change the database file as its owner could, past the triggers."""
    with sqlite3.connect(store.data_dir / "citadel.db") as database:
        for trigger in ("audit_is_not_changed", "audit_is_not_deleted"):
            database.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            database.execute(statement)
    database.close()


def test_an_untouched_chain_is_sound_and_says_who_from_where(chain: Store) -> None:
    proof = chain.audit.verify()
    assert (proof.problems, proof.n_records, proof.head.seq) == ([], 8, 8)
    first = records(chain)[0]
    assert first.actor == {
        "kind": "user",
        "number": 7,
        "how": "session",
        "request_id": "request-1",
    }
    assert first.private == {"address": "10.0.0.17", "question": "q1"}
    assert first.detail == {"number": 1}


SWAP = (
    "UPDATE audit SET seq = -1 WHERE seq = 3",
    "UPDATE audit SET seq = 3 WHERE seq = 4",
    "UPDATE audit SET seq = 4 WHERE seq = -1",
)


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (
            ["UPDATE audit SET record = replace(record, 'success', 'failure') WHERE seq = 3"],
            "3 was",
        ),
        (["UPDATE audit SET kind = 'opened' WHERE seq = 3"], "record 3 was changed"),
        (["UPDATE audit SET actor_id = 8 WHERE seq = 3"], "record 3 was changed"),
        (["UPDATE audit SET at = '2020-01-01 00:00:00' WHERE seq = 3"], "record 3 was changed"),
        (["UPDATE audit SET record = 'nonsense' WHERE seq = 3"], "record 3 was changed"),
        (["DELETE FROM audit WHERE seq = 3"], "record 3 is missing"),
        (["DELETE FROM audit WHERE seq IN (3, 4)"], "records 3 to 4 are missing"),
        (["DELETE FROM audit WHERE seq <= 2"], "records 1 to 2 are missing"),
        (["DELETE FROM audit WHERE seq > 6"], "records 7 to 8 are missing at the end"),
        (["DELETE FROM audit"], "records 1 to 8 are missing at the end"),
        (SWAP, "record 3 does not follow"),
        (["UPDATE audit_private SET texts = '{}' WHERE seq = 5"], "beside record 5 was changed"),
        (["DELETE FROM audit_private WHERE seq = 5"], "beside record 5 is missing"),
    ],
)
def test_whatever_is_done_to_the_records_is_found(
    chain: Store, statements: list[str], said: str
) -> None:
    tamper(chain, *statements)
    assert any(said in problem for problem in chain.audit.verify().problems)


def test_a_record_written_anew_with_all_its_hashes_is_found_by_a_head_kept_elsewhere(
    chain: Store,
) -> None:
    kept = str(chain.audit.head())
    tamper(chain, "DELETE FROM audit WHERE seq > 6", "DELETE FROM audit_private WHERE seq > 6")
    (chain.data_dir / "audit.head").unlink()
    chain.audit.record("search", {"number": "another"})
    chain.audit.record("search", {"number": "another"})
    assert chain.audit.verify().problems == [], "the file was written anew as well"
    assert "8 is not the one" in chain.audit.verify(kept).problems[0]


def test_a_head_file_that_is_gone_or_not_ours_is_said(chain: Store) -> None:
    file = chain.data_dir / "audit.head"
    file.write_text(file.read_text().replace("8:", "5:"))
    assert "not written by this installation" in chain.audit.verify().problems[0]
    file.write_text("{")
    assert "not written by this installation" in chain.audit.verify().problems[0]
    file.unlink()
    assert "audit.head is missing" in chain.audit.verify().problems[0]


def forge(store: Store, kind: str, detail: dict[str, Any], *, alone: bool = False) -> None:
    """Add a record past the house, as whoever can write the database could, with right hashes."""
    head = store.audit.head()
    last = 0 if alone else head.seq
    seq, at = head.seq + 1, datetime.now(UTC)
    record = {"seq": seq, "at": at.isoformat(), "kind": kind, "outcome": "success", "actor": {}}
    text = canonical(record | {"detail": detail, "private_sha256": None, "signature": "0" * 64})
    tamper(store, f"DELETE FROM audit WHERE seq > {last}")
    with sqlite3.connect(store.data_dir / "citadel.db") as database:
        row = (seq, f"{at:%Y-%m-%d %H:%M:%S.%f}", kind, None, text, head.sha256)
        database.execute(
            "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, hashed(head.sha256, text))
        )
    database.close()


def test_a_forged_retention_record_does_not_vouch_for_a_new_beginning(chain: Store) -> None:
    head = chain.audit.head()
    detail = {"removed": 8, "last_seq": head.seq, "last_sha256": head.sha256}
    forge(chain, "retention", detail, alone=True)
    problems = chain.audit.verify().problems
    assert "record 9 was not signed by this installation" in problems
    assert "records 1 to 8 are missing" in problems


def test_a_forged_forget_record_does_not_cover_what_was_deleted(chain: Store) -> None:
    forge(chain, "forget", {"of": "user", "principal": 7, "records": [[1, 8]]})
    tamper(chain, "DELETE FROM audit_private WHERE seq IN (2, 3)")
    problems = chain.audit.verify().problems
    assert "record 9 was not signed by this installation" in problems
    assert "what lay beside record 3 is missing, and no record says why" in problems


def test_what_is_no_head_is_refused_in_words(chain: Store) -> None:
    with pytest.raises(BadRequest, match="SEQ:HASH"):
        chain.audit.verify("8:abc")


def test_the_database_refuses_to_change_or_delete_a_record(store: Store) -> None:
    from sqlalchemy import text

    store.audit.record("search")
    for statement in ("UPDATE audit SET kind = 'x'", "DELETE FROM audit"):
        with (
            pytest.raises(StoreError, match="never"),
            store._database.write() as connection,
        ):
            connection.execute(text(statement))
    assert store.audit.verify().problems == []


def test_old_records_are_removed_and_the_rest_can_still_be_verified(store: Store) -> None:
    for number in range(5):
        store.audit.record("search", {"number": number}, private={"question": "?"})
    assert store.audit.prune(datetime.now(UTC) - timedelta(days=1)) == 0
    assert store.audit.prune(datetime.now(UTC)) == 5
    store.audit.record("search")
    assert [(r.seq, r.kind) for r in records(store)] == [(6, "retention"), (7, "search")]
    assert store.audit.verify().problems == []
    assert store.audit.prune(datetime.now(UTC)) == 2
    assert store.audit.verify().problems == []


def test_several_processes_add_to_one_chain(store: Store, url: str, data_dir: Path) -> None:
    command = [sys.executable, str(HERE / "audit_writer.py"), url, str(data_dir), "25"]
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    writers = [subprocess.Popen(command, env=environment) for _ in range(2)]
    for number in range(25):
        store.audit.record("opened", {"number": number})
    assert [writer.wait(60) for writer in writers] == [0, 0]
    proof = store.audit.verify()
    assert (proof.problems, proof.n_records) == ([], 75)


def test_a_change_that_fails_leaves_no_record(store: Store) -> None:
    with pytest.raises(BadRequest):
        store.permissions.add_principal("user", "no name at all")
    assert records(store) == []


def _people(store: Store) -> None:
    commit(store, "/a", "one")
    store.permissions.add_principal("user", "ann")
    store.permissions.add_principal("group", "hr")


def _signed_in(store: Store) -> str:
    return store.signing.begin(store.user_number("ann"), "password")


def _rated(store: Store) -> None:
    owner = store.operator_number()
    lists: dict[str, Any] = {name: [] for name in ("citations", "related", "steps")}
    searched = {"query": "?", "collections": ["docs"]}
    answer = {"question": "?", "answer": "", "request_id": "request-9", "searched": searched}
    store.conversations.append(owner, store.conversations.create(owner).id, {**answer, **lists})
    store.feedback.give(owner, "request-9", -1, "Too short.")


def other_model(store: Store) -> Model:
    """A second model beside the one in use, with a vector for every chunk."""
    store.models.adopt(MODEL, "first", DIM, 256)
    store.models.add("b", "other", DIM, 256)
    model = store.models.one("other")
    store.models.building(model)
    for found in store.models.lacking(model, 1000):
        store.models.fill(model, found.ids, built([found]), 0)
    assert store.models.settle(model)
    return store.models.one("other")


def built(found: Sequence[Unembedded]) -> Vectors:
    return vectors([chunk.text for each in found for chunk in each.chunks])


ACTS: dict[str, Callable[[Store], object]] = {
    "principal_added": lambda s: s.permissions.add_principal("user", "bob"),
    "principal_removed": lambda s: s.permissions.remove_principal("user", "ann"),
    "disabled": lambda s: s.permissions.set_disabled("ann", True),
    "enabled": lambda s: s.permissions.set_disabled("ann", False),
    "joined": lambda s: s.permissions.join_group("hr", ["ann"]),
    "left": lambda s: (
        s.permissions.join_group("hr", ["ann"]),
        s.permissions.leave_group("hr", ["ann"]),
    ),
    "granted": lambda s: s.permissions.grant("docs", "user:ann", "read"),
    "revoked": lambda s: (
        s.permissions.grant("docs", "group:hr", "read"),
        s.permissions.revoke("docs", "group:hr"),
    ),
    "limited": lambda s: s.permissions.limit("docs", "/a", ["user:ann"]),
    "limits_synced": lambda s: s.permissions.sync_limits("docs", Said(["/"], {"/": ("user:ann",)})),
    "ingested": lambda s: commit_mail(s, "/m.eml", "b.txt"),
    "moved": lambda s: s.move_source("docs", "/a", source("/b", "one")),
    "removed": lambda s: s.remove_sources("docs", ["/a"]),
    "blocked_purged": lambda s: s.withheld.purge(),
    "sign_in": lambda s: s.signing.begin(s.user_number("ann"), "password"),
    "sign_out": lambda s: (_signed_in(s), s.signing.end_all(s.user_number("ann"))),
    "link_made": lambda s: s.signing.link("operator"),
    "password_set": lambda s: s.passwords.set("ann", "a sentence is good"),
    "key_added": lambda s: s.keys.add("operator", "a system", ["search"]),
    "key_revoked": lambda s: s.keys.revoke(s.keys.add("operator", "a system", ["search"])[0].id),
    "role_given": lambda s: s.accounts.give_role("user:ann", "auditor"),
    "role_taken": lambda s: (
        s.accounts.give_role("user:ann", "auditor"),
        s.accounts.take_role("user:ann", "auditor"),
    ),
    "identity_linked": lambda s: s.directory.link("ann", "https://id.example", "7"),
    "identity_unlinked": lambda s: (
        s.directory.link("ann", "https://id.example", "7"),
        s.directory.unlink("ann", "https://id.example", "7"),
    ),
    "groups_synced": lambda s: s.directory.known_as(Vouched("i", "7", "eve", ("hr",)), Terms()),
    "collection_added": lambda s: s.create_collection("new"),
    "collection_removed": lambda s: (s.create_collection("new"), s.remove_collection("new")),
    "conversation_added": lambda s: s.conversations.create(s.operator_number()),
    "conversation_renamed": lambda s: s.conversations.rename(
        s.operator_number(), s.conversations.create(s.operator_number()).id, "Another"
    ),
    "feedback_given": _rated,
    "conversation_removed": lambda s: s.conversations.delete(
        s.operator_number(), s.conversations.create(s.operator_number()).id
    ),
    "model_added": lambda s: s.models.add("b", "other", 8, 256),
    "model_removed": lambda s: s.models.remove(other_model(s)),
    "model_switched": lambda s: s.models.switch(other_model(s), built, {}),
    "model_rolled_back": lambda s: (
        s.models.switch(other_model(s), built, {}),
        s.models.switch_back({}),
    ),
    "run_added": lambda s: s.runs.add("docs", s.operator_number(), ["/a"]),
    "run_cancelled": lambda s: s.runs.cancel(s.runs.add("docs", s.operator_number(), ["/a"])),
}


@pytest.mark.parametrize("kind", ACTS)
def test_every_change_leaves_its_record(chain: Store, kind: str) -> None:
    _people(chain)
    before = chain.audit.head().seq
    ACTS[kind](chain)
    assert records(chain, after=before)[-1].kind == kind
    assert chain.audit.verify().problems == []


def test_a_collection_that_an_ingest_makes_is_recorded_once(store: Store) -> None:
    commit(store, "/a", "one")
    commit(store, "/b", "two")
    [made] = records(store, kind="collection_added")
    assert made.detail == {"collection": "docs"}


def test_the_grants_of_the_first_admin_are_recorded(store: Store) -> None:
    commit(store, "/a", "one")
    store.create_collection("hr")
    store.accounts.first_admin()
    number = store.user_number("admin")
    details = [record.detail for record in records(store, kind="granted")]
    assert details == [
        {"collection": name, "principal": number, "right": "manage"} for name in ("docs", "hr")
    ]


def test_a_membership_that_the_directory_can_take_back_no_more_is_recorded(store: Store) -> None:
    store.permissions.add_principal("group", "hr")
    store.directory.known_as(Vouched("i", "7", "eve", ("hr",)), Terms())
    eve, before = store.user_number("eve"), store.audit.head().seq
    store.permissions.join_group("hr", ["eve"])
    store.permissions.join_group("hr", ["eve"])
    [record] = records(store, after=before)
    assert (record.kind, record.detail["principals"], record.detail["kept"]) == (
        "joined",
        [eve],
        [eve],
    )


def test_what_changes_nothing_leaves_none(chain: Store) -> None:
    _people(chain)
    before = chain.audit.head().seq
    commit(chain, "/a", "one")
    assert chain.permissions.revoke("docs", "user:ann") is False
    chain.permissions.join_group("hr", [])
    assert chain.permissions.leave_group("hr", ["ann"]) == []
    chain.permissions.sync_limits("docs", Said(["/"]))
    chain.remove_sources("docs", ["/nowhere"])
    assert records(chain, after=before) == []


def test_a_file_that_failed_is_recorded_as_a_failure(chain: Store) -> None:
    chain.record_failure("docs", failed("/broken.pdf"))
    [record] = records(chain, kind="ingested")
    assert record.outcome == "failure"
    assert record.private == {"uri": "/broken.pdf"}


def test_records_name_nobody_and_no_path(chain: Store) -> None:
    """So that whoever is forgotten need not be cut out of the chain."""
    _people(chain)
    chain.permissions.limit("docs", "/a", ["user:ann"])
    chain.permissions.remove_principal("user", "ann")
    with sqlite3.connect(chain.data_dir / "citadel.db") as database:
        stored = [row[0] for row in database.execute("SELECT record FROM audit")]
    database.close()
    assert not [text for text in stored if "ann" in text or '"/a"' in text or "10.0.0" in text]
    number = json.loads(stored[-1])["detail"]["principal"]
    assert chain.audit.names([number]) == {number: "user:ann"}, "until it is forgotten"


def test_records_are_read_by_kind_user_time_and_in_pages(chain: Store) -> None:
    _people(chain)
    assert [r.seq for r in records(chain, user=7)] == [*range(1, 9)]
    assert [r.seq for r in records(chain, after=3, limit=2)] == [4, 5]
    assert {r.kind for r in records(chain, kind="principal_added")} == {"principal_added"}
    assert records(chain, since=datetime.now(UTC)) == []
    assert records(chain, after=2**63) == []


def test_a_keyed_hash_is_the_same_again_and_another_elsewhere(
    chain: Store, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("other")
    with Store.open(f"sqlite:///{elsewhere / 'citadel.db'}", data_dir=elsewhere) as other:
        assert chain.audit.keyed("x") == chain.audit.keyed("x") != other.audit.keyed("x")
