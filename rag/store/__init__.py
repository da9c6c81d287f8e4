"""The store: documents, chunks, vectors and the change log in one SQL database.

In come parsed, chunked and embedded documents, one transaction a source file; out go the rows that
a caller's `Access` allows, and the change log that the indexes follow. This is the only room that
opens a database session and the only one that knows SQLAlchemy. It does not know how a file is
parsed, how a vector is made or how an index is built.
"""

from rag.store.documents import CollectionInfo
from rag.store.integrity import Stats
from rag.store.originals import Originals
from rag.store.people import Role
from rag.store.people import parsed as parsed_principal
from rag.store.quarantine import Quarantined, ScreenedDocument, Suspicion
from rag.store.store import Store
from rag.store.withheld import Withheld

__all__ = [
    "CollectionInfo",
    "Originals",
    "Quarantined",
    "Role",
    "ScreenedDocument",
    "Stats",
    "Store",
    "Suspicion",
    "Withheld",
    "parsed_principal",
]
