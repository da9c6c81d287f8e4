"""A Milvus for tests: a file of milvus-lite, emptied between them, as starting takes a second."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag.search.milvus_client import Milvus
from rag.types import IndexServer


@contextmanager
def kept_open(file: Path) -> Iterator[IndexServer]:
    """A file that stays open, however often it is opened and closed meanwhile."""
    server = IndexServer(str(file))
    milvus = Milvus(server)
    try:
        yield server
    finally:
        milvus.close()


def emptied(server: IndexServer) -> IndexServer:
    """The same, without a collection."""
    milvus = Milvus(server)
    for name in milvus.names(""):
        milvus.drop(name)
    milvus.close()
    return server
