"""A Milvus that is not there, not installed, in use by another or emptied by somebody."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from index_samples import ALL, DIM, MODEL, commit, found, level
from milvus_samples import emptied, kept_open

from rag.errors import ConfigError, SearchIndexError
from rag.search.indexes import open_indexes
from rag.search.milvus import holding
from rag.search.milvus_client import Milvus
from rag.settings import load_settings
from rag.store import Store
from rag.types import IndexServer

HOLD_OPEN = """
import sys
from rag.search.milvus_client import Milvus
from rag.types import IndexServer
milvus = Milvus(IndexServer(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
milvus.close()
"""


def a_free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def test_a_server_that_is_not_there_is_named_as_such(store: Store) -> None:
    server = IndexServer(f"http://127.0.0.1:{a_free_port()}", "root:secret")
    with pytest.raises(SearchIndexError) as caught:
        open_indexes(store, MODEL, DIM, server, print)
    assert caught.value.retryable
    assert "CITADEL_INDEX_URL" in caught.value.hint
    assert "secret" not in f"{caught.value} {server!r}"


def test_a_file_that_another_process_has_open_is_named_as_such(
    store: Store, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "index.db")
    command = [sys.executable, "-c", HOLD_OPEN, file]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin
    assert other.stdout
    try:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(SearchIndexError) as caught:
            open_indexes(store, MODEL, DIM, IndexServer(file), print)
        assert "one process" in caught.value.hint
    finally:
        other.communicate()
    assert "Traceback" not in capfd.readouterr().err


def test_without_the_extra_it_says_what_to_install(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(ConfigError) as caught:
        open_indexes(store, MODEL, DIM, IndexServer(str(tmp_path / "index.db")), print)
    assert "citadel-rag[milvus]" in caught.value.hint


def test_a_file_that_was_closed_is_found_as_it_was(store: Store, tmp_path: Path) -> None:
    server = IndexServer(str(tmp_path / "index.db"))
    document = commit(store, "/a.txt", "notice period", "travel costs")
    open_indexes(store, MODEL, DIM, server, print).close()
    assert holding(server, [document]) == ["citadel_model_a_1_vectors", "citadel_model_a_1_words"]
    assert holding(server, [document + 1]) == []
    with open_indexes(store, MODEL, DIM, server, print) as pair:
        assert not pair.rebuilt
        assert found(pair, store, "notice") == {"notice period", "travel costs"}
        level(pair, store)


def test_an_index_that_somebody_has_emptied_is_built_anew(store: Store, tmp_path: Path) -> None:
    commit(store, "/a.txt", "notice period")
    with kept_open(tmp_path / "index.db") as server:
        said: list[str] = []
        with open_indexes(store, MODEL, DIM, server, said.append) as pair:
            milvus = Milvus(server)
            for name in milvus.names("citadel_model"):
                milvus.drop(name)
            milvus.close()
            assert found(pair, store, "notice") == {"notice period"}
            level(pair, store)
            emptied(server)
            commit(store, "/b.txt", "a longer notice")
            assert found(pair, store, "notice") == {"notice period", "a longer notice"}
            level(pair, store)
        assert len(said) == 3


def test_the_index_of_a_store_that_was_ahead_is_not_used(
    store: Store, tmp_path: Path, data_dir: Path
) -> None:
    with kept_open(tmp_path / "index.db") as server:
        commit(store, "/a.txt", "notice period")
        commit(store, "/b.txt", "a longer notice")
        open_indexes(store, MODEL, DIM, server, print).close()
        empty = tmp_path / "restored"
        with (
            Store.open(f"sqlite:///{empty / 'citadel.db'}", data_dir=empty) as restored,
            open_indexes(restored, MODEL, DIM, server, print) as pair,
        ):
            assert pair.rebuilt
            assert pair.lexical.search("notice", 10, ALL) == []


@pytest.mark.parametrize(
    "url",
    ["milvus", "ftp://host", "http://user:secret@host:19530", "http://host/?x=1", "/x.sqlite"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        load_settings(index_url=url)


def test_a_file_is_meant_from_where_the_command_runs() -> None:
    index = load_settings(index_url="index.db").index
    assert isinstance(index, IndexServer)
    assert index.url == str(Path("index.db").absolute())
