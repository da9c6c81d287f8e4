"""How many documents a caller may read, which every answer says: counted once until a change."""

import threading
from collections import OrderedDict

from sqlalchemy import Connection

from rag.store import changes, documents
from rag.types import Access

KEPT = 256  # callers who may read different things


class Counts:
    """Numbers of readable documents, each as of a change of the log. Thread-safe.

    Whatever changes a number is in the log: documents that come, go or get other readers. What is
    granted is part of the caller's access.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Access, tuple[int, int]] = OrderedDict()  # head, number

    def of(self, connection: Connection, access: Access) -> int:
        """The number for a caller, as of this transaction."""
        head = changes.head(connection)
        with self._lock:
            known = self._kept.get(access)
        if known is not None and known[0] == head:
            return known[1]
        n = documents.count(connection, access)
        with self._lock:
            self._kept[access] = head, n
            self._kept.move_to_end(access)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return n
