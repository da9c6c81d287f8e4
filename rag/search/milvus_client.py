"""A Milvus, or a file opened by milvus-lite: the only module that knows pymilvus.

Every call has a time limit and every failure is a `SearchIndexError`. pymilvus is imported when an
address is set, and not before. It holds numbers only: ids, vectors, hashes of stems; no text.
"""

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from rag.errors import ConfigError, SearchIndexError
from rag.search.rarity import place_of
from rag.types import Access, IndexServer

Level = Literal["Strong", "Bounded"]
Row = Mapping[str, Any]
T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
CALL_TIMEOUT_S = 30.0
WRITE_TIMEOUT_S = 300.0  # of a batch, a flush, a collection's loading
PAGE_ROWS = 10_000  # read at a time; Milvus gives at most 16,384
KEY = "chunk_id"
NOT_FOUND, NOT_LOADED = 100, 101  # Milvus's codes of a collection
EXTRA = 'pip install "citadel-rag[milvus]"'
HINT = "Check that Milvus runs and can be reached at CITADEL_INDEX_URL; then try again."
IN_USE = (
    "Another process may have it open, and a file serves one process at a time: stop it, or run a"
    " Milvus and set CITADEL_INDEX_URL to its address."
)
LOGGERS = ("pymilvus", "milvus_lite", "grpc")

_open_files: Counter[str] = Counter()
_opening = threading.Lock()


class Gone(SearchIndexError):  # noqa: N818  a state: it was replaced by another
    """The collection is not there any more."""


class Milvus:
    """One connection. Safe to share between threads."""

    def __init__(self, server: IndexServer) -> None:
        """Connect.

        Raises:
            ConfigError: pymilvus or milvus-lite is not installed.
            SearchIndexError: there is no answer, the token is refused, or the file is in use.
        """
        self.server = server
        self._client = _connect(server)
        with translated():
            version = str(self._client.get_server_version(timeout=CONNECT_TIMEOUT_S))
        self.is_lite = "lite" in version

    def close(self) -> None:
        """Let go of the connection, and of the file if nobody else in this process has it open."""
        self._client.close()
        if self.server.is_file:
            _release(self.server.url)

    def names(self, prefix: str) -> list[str]:
        """The collections whose name begins so."""
        with translated():
            found = self._client.list_collections(timeout=CALL_TIMEOUT_S)
        return sorted(name for name in found if name.startswith(prefix))

    def create(self, name: str, fields: Sequence[Row], index: Row) -> None:
        """Make a collection, ready to be searched; nothing happens where it is there.

        Each field has the arguments of pymilvus's `add_field`, its type by name, and the index
        those of `add_index`.
        """
        from pymilvus import DataType

        with translated():
            schema = self._client.create_schema(auto_id=False)
            for field in fields:
                schema.add_field(**{**field, "datatype": DataType[field["datatype"]]})
            indexes = self._client.prepare_index_params()
            indexes.add_index(**index)
            if not self._client.has_collection(name, timeout=CALL_TIMEOUT_S):
                self._client.create_collection(name, schema=schema, timeout=WRITE_TIMEOUT_S)
                # It has no rows yet: there is nothing to wait for.
                self._client.create_index(name, indexes, timeout=WRITE_TIMEOUT_S, sync=False)
                self._client.load_collection(name, timeout=WRITE_TIMEOUT_S)

    def drop(self, name: str) -> None:
        """Delete a collection with all that it holds; nothing happens where there is none."""
        with translated():
            self._client.drop_collection(name, timeout=WRITE_TIMEOUT_S)

    def upsert(self, name: str, rows: Sequence[Row]) -> None:
        """Add rows, each in the place of one of the same key."""
        if rows:
            with translated():
                self._client.upsert(name, list(rows), timeout=WRITE_TIMEOUT_S)

    def delete(self, name: str, ids: Sequence[int]) -> None:
        """Take rows out by their key. Unknown ones are ignored."""
        if ids:
            with translated():
                self._client.delete(name, ids=list(ids), timeout=WRITE_TIMEOUT_S)

    def flush(self, name: str) -> None:
        """Seal what was written, so that it gets its index."""
        with translated():
            self._client.flush(name, timeout=WRITE_TIMEOUT_S)

    def search(
        self, name: str, asked: Sequence[Any], k: int, condition: str, options: Row
    ) -> list[list[tuple[int, float]]]:
        """For each vector asked for the `k` best rows by inner product, as (key, product)."""
        found = self._ask(
            lambda: self._client.search(
                name,
                data=list(asked),
                limit=k,
                filter=condition,
                output_fields=[KEY],
                timeout=CALL_TIMEOUT_S,
                **options,
            )
        )
        return [[(int(hit[KEY]), float(hit["distance"])) for hit in hits] for hits in found]

    def count(self, name: str, condition: str, level: Level) -> int:
        """How many rows meet a condition."""
        (row,) = self._query(name, condition, ["count(*)"], level)
        return int(row["count(*)"])

    def rows(
        self, name: str, condition: str, fields: Sequence[str], level: Level = "Strong"
    ) -> list[dict[str, Any]]:
        """The rows that meet a condition, at most some thousand."""
        return self._query(name, condition, fields, level)

    def keys(self, name: str) -> list[int]:
        """The keys of all rows."""
        return self._ask(lambda: list(self._paged(name)))

    def _query(
        self, name: str, condition: str, fields: Sequence[str], level: Level
    ) -> list[dict[str, Any]]:
        return self._ask(
            lambda: list(
                self._client.query(
                    name,
                    filter=condition,
                    output_fields=list(fields),
                    consistency_level=level,
                    timeout=CALL_TIMEOUT_S,
                )
            )
        )

    def _paged(self, name: str) -> Iterator[int]:
        pages = self._client.query_iterator(
            name,
            batch_size=PAGE_ROWS,
            output_fields=[KEY],
            consistency_level="Strong",
            timeout=CALL_TIMEOUT_S,
        )
        while page := pages.next():
            yield from (int(row[KEY]) for row in page)
        pages.close()

    def _ask(self, question: Callable[[], T]) -> T:
        """The answer; after a restart of milvus-lite, collections have to be loaded for it."""
        from pymilvus.exceptions import MilvusException

        with translated():
            try:
                return question()
            except MilvusException as error:
                if error.code != NOT_LOADED:
                    raise
            for name in self._client.list_collections(timeout=CALL_TIMEOUT_S):
                self._client.load_collection(name, timeout=WRITE_TIMEOUT_S)
            return question()


class Shelf:
    """One collection of the index in use. Where another has taken its place that one is asked."""

    def __init__(
        self, milvus: Milvus, name: str, level: Callable[[], Level], renew: Callable[[], None]
    ) -> None:
        self.milvus = milvus
        self.name = name
        self._level = level
        self._renew = renew

    def search(
        self, field: str, asked: Sequence[Any], k: int, condition: str, params: Row
    ) -> list[list[tuple[int, float]]]:
        """See `Milvus.search`."""
        options = {
            "anns_field": field,
            "search_params": {"metric_type": "IP", "params": dict(params)},
            "consistency_level": self._level(),
        }
        return self._ask(lambda name: self.milvus.search(name, asked, k, condition, options))

    def count(self, condition: str) -> int:
        """See `Milvus.count`."""
        return self._ask(lambda name: self.milvus.count(name, condition, self._level()))

    def keys(self) -> list[int]:
        """The chunk ids of all rows."""
        return self._ask(lambda name: self.milvus.keys(name))

    def rows(self, condition: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        """See `Milvus.rows`."""
        return self._ask(lambda name: self.milvus.rows(name, condition, fields, self._level()))

    def _ask(self, question: Callable[[str], T]) -> T:
        try:
            return question(self.name)
        except Gone:
            self._renew()  # another process has built it anew
            return question(self.name)


def place(collection: str) -> int:
    """`place_of` as Milvus can hold it: a signed number of 64 bits."""
    return int.from_bytes(place_of(collection).to_bytes(8, "big"), "big", signed=True)


def readable(access: Access) -> str:
    """The condition that lets through what a caller may read."""
    places = sorted(place(collection) for collection in access.collections)
    return f"place in {places} and list_id in {sorted({0, *access.lists})}"


@contextmanager
def translated() -> Iterator[None]:
    """Failures of the library as ours."""
    from grpc import RpcError
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        why = _first_line(error.message)
        if error.code == NOT_FOUND:
            raise Gone(f"Milvus: {why}", hint=HINT) from error
        raise SearchIndexError(f"Milvus: {why}", hint=HINT) from error
    except RpcError as error:
        raise SearchIndexError(f"Milvus: {_first_line(str(error))}", hint=HINT) from error


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0][:300]


def _connect(server: IndexServer) -> Any:
    # What is imported would otherwise take variables from a file `.env` that lies somewhere above.
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    # gRPC would act whenever this process starts another one, which can end in a crash of that one.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        from pymilvus import MilvusClient

        if server.is_file:
            import milvus_lite  # noqa: F401  pymilvus would say so in less clear words
    except ImportError as error:
        raise ConfigError(
            f"CITADEL_INDEX_URL is set, and {error.name} is not installed", hint=EXTRA
        ) from error
    for name in LOGGERS:  # they print every failure with its stack, which we name in a line
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _translated_opening(server), _opening:
        secured: dict[str, Any] = {}
        if server.url.startswith("https:"):
            secured = {"secure": True, "server_pem_path": str(server.ca_file or "")}
        if server.is_file:
            _claim(server.url)
        try:
            return MilvusClient(
                uri=server.url, token=server.token, timeout=CONNECT_TIMEOUT_S, **secured
            )
        except BaseException:
            if server.is_file:
                _open_files[server.url] -= 1
            raise


@contextmanager
def _translated_opening(server: IndexServer) -> Iterator[None]:
    try:
        with translated():
            yield
    except SearchIndexError as error:
        if not server.is_file:
            raise
        raise SearchIndexError(f"cannot open {server.url}", hint=IN_USE) from error


def _claim(path: str) -> None:
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _open_files[path] += 1


def _release(path: str) -> None:
    from milvus_lite.server_manager import server_manager_instance

    with _opening:
        _open_files[path] -= 1
        if not _open_files[path]:
            server_manager_instance.release_server(path)
