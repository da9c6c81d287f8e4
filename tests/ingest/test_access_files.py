"""What a folder's `.citadel-access.yaml` says of its readers, from file to answer's edge."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ingest.access import ACCESS_FILE, readers_of
from ingest.scan import Limits, Scan, scan
from rag.store import Readers, Said, Store
from rag.types import Chunk, NewDocument, SourceFile


def say(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ACCESS_FILE).write_text(text)


@pytest.mark.parametrize(
    ("text", "readers"),
    [
        ("read: [user:bob, group:hr, user:bob]", ("group:hr", "user:bob")),
        ("read:\n  - group:hr\n", ("group:hr",)),
        ("read: []", ()),
        ("read: everyone", None),
    ],
)
def test_a_file_names_the_readers(tmp_path: Path, text: str, readers: object) -> None:
    say(tmp_path, text)
    assert readers_of(str(tmp_path)) == {str(tmp_path): readers}


def test_without_a_file_nothing_is_said(tmp_path: Path) -> None:
    assert readers_of(str(tmp_path)) == {}


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "read:",
            "read: hr",
            "read: [bob]",
            "read: [user:]",
            "read: {user: bob}",
            "read: [7]",
        ),
        *(
            "readers: [user:bob]",
            "read: []\nwrite: []",
            "read: [",
            "- user:bob",
            "\0",
            "a: &a [*a]",
        ),
        "read: !!python/object/apply:os.system ['true']",
    ],
)
def test_a_folder_whose_file_cannot_be_understood_is_left_out(tmp_path: Path, text: str) -> None:
    say(tmp_path / "hr", text)
    (tmp_path / "hr" / "pay.txt").write_text("secret")
    (tmp_path / "open.txt").write_text("open")
    seen = scanned(tmp_path)
    assert list(seen.files) == [str(tmp_path / "open.txt")]
    [closed] = seen.closed
    assert closed.path.endswith(ACCESS_FILE) and "read: [group:hr" in closed.hint
    assert seen.unread == [str(tmp_path / "hr")]
    assert seen.readers == {str(tmp_path / "hr"): ()}


@pytest.mark.parametrize(
    "name", [".citadel-access.yml", ".citadel-access", "citadel-access.yaml", ".Citadel_Access.yml"]
)
def test_a_file_of_nearly_that_name_closes_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "hr").mkdir()
    (tmp_path / "hr" / name).write_text("read: [group:hr]")
    [closed] = scanned(tmp_path).closed
    assert "Rename" in closed.hint and name in closed.hint


def test_nobody_reads_below_a_closed_folder_whatever_was_said_there_before(store: Store) -> None:
    store.permissions.sync_limits("docs", said("/d", {"/d/hr": ("group:hr",), "/d/hr/x": None}))
    assert seen_by_ann(store) == "ac"
    closed = Said(["/d"], {"/d/hr": ()}, {}, [], ["/d/hr"], ["/d/hr"])
    store.permissions.sync_limits("docs", closed, prune=False)
    assert seen_by_ann(store) == "a"


def test_files_above_what_is_ingested_count_and_a_broken_one_closes_it(tmp_path: Path) -> None:
    say(tmp_path, "read: [group:hr]")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert scanned(tmp_path / "a" / "b").readers == {str(tmp_path): ("group:hr",)}
    say(tmp_path, "read: hr")
    seen = scanned(tmp_path / "a" / "b")
    assert (seen.readers, seen.unread) == ({str(tmp_path): ()}, [str(tmp_path)])


def scanned(folder: Path) -> Scan:
    seen = Scan()
    scan(str(folder), Limits(1000), seen, lambda n: None)
    return seen


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    with Store.open(f"sqlite:///{data_dir / 'citadel.db'}", data_dir=data_dir) as opened:
        opened.permissions.add_principal("group", "hr")
        opened.permissions.add_principal("user", "ann")
        for uri in ("/d/a.txt", "/d/hr/b.txt", "/d/hr/x/c.txt"):
            chunk, vector = Chunk(0, 0, 4, "text"), np.eye(1, 4, dtype=np.float32)
            document = NewDocument(uri, uri, "text/plain", "en", "text", [chunk], vector)
            opened.commit_source("docs", SourceFile(uri, 1, 0), [document], model_id="m")
        opened.permissions.grant("docs", "user:ann", "read")
        yield opened


def said(root: str, by_file: dict[str, Readers], *unread: str) -> Said:
    return Said([root], by_file, {}, [], unread)


def seen_by_ann(store: Store) -> str:
    found = store.list_documents(store.access_of_user("ann"))
    return "".join(sorted(Path(document.source_uri).stem for document in found))


def test_limits_follow_the_files_and_go_with_them(store: Store) -> None:
    def synced(wanted: dict[str, tuple[str, ...] | None], *unread: str) -> tuple[int, str]:
        return store.permissions.sync_limits("docs", said("/d", wanted, *unread)), seen_by_ann(
            store
        )

    assert synced({}) == (0, "abc")
    assert synced({"/d/hr": ("group:hr",)}) == (2, "a")
    head = store.head()
    assert synced({"/d/hr": ("group:hr",)}) == (0, "a")
    assert store.head() == head, "nothing is indexed anew where nothing has changed"
    assert synced({"/d/hr": ("group:hr",), "/d/hr/x": None}) == (1, "ac")
    assert synced({}, "/d/hr") == (0, "ac"), "what could not be read holds on"
    assert synced({"/d": ("user:ann",), "/d/hr": ()}) == (3, "a")
    assert synced({}) == (3, "abc")


def test_a_limit_that_is_no_longer_said_can_be_kept_until_the_run_has_ended(store: Store) -> None:
    store.permissions.sync_limits("docs", said("/d", {"/d/hr": ()}))
    store.permissions.sync_limits("docs", said("/d", {"/d/hr/x": ()}), prune=False)
    assert seen_by_ann(store) == "a"
    store.permissions.sync_limits("docs", said("/d", {"/d/hr/x": ()}))
    assert seen_by_ann(store) == "ab"


def test_no_file_takes_or_widens_what_a_command_has_limited(store: Store) -> None:
    store.permissions.add_principal("user", "bob")
    store.permissions.grant("docs", "user:bob", "read")
    store.permissions.limit("docs", "/d/hr", ["user:bob"])
    for folder in ("/d", "/d/hr", "/d/hr/x"):
        for readers in (None, ("user:ann",)):
            store.permissions.sync_limits("docs", said("/d", {folder: readers}))
            assert "b" not in seen_by_ann(store) and "c" not in seen_by_ann(store)
    store.permissions.sync_limits("docs", said("/d", {}))
    assert seen_by_ann(store) == "a"
    assert store.access_of_user("bob").lists, "the limit is still there, for whom it names"
    [limit] = store.permissions.limits()
    assert (limit.uri, limit.principals, limit.origin) == ("/d/hr", ("user:bob",), "command")


def test_a_limit_by_command_leaves_what_a_file_says_in_force(store: Store) -> None:
    store.permissions.sync_limits("docs", said("/d", {"/d/hr": ("group:hr",)}))
    store.permissions.limit("docs", "/d", ["user:ann"])
    assert seen_by_ann(store) == "a"
    store.permissions.limit("docs", "/d", None)
    store.permissions.limit("docs", "/d/hr", None)
    assert seen_by_ann(store) == "a"
    assert [(each.uri, each.origin) for each in store.permissions.limits()] == [
        ("/d/hr", "command"),
        ("/d/hr", "file"),
    ]


def test_files_in_another_root_are_not_touched(store: Store) -> None:
    store.permissions.sync_limits("docs", said("/d", {"/d/hr": ()}))
    assert store.permissions.sync_limits("docs", said("/e", {})) == 0
    assert seen_by_ann(store) == "a"
