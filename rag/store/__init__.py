"""The store: documents, chunks, vectors and the change log in one SQL database.

In come parsed, chunked and embedded documents, a source file never in part; out go the rows that
a caller's `Access` allows, and the change log that the indexes follow. This is the only room that
opens a database session and the only one that knows SQLAlchemy. It also keeps who there is, and the
sessions, passwords and keys that they are known by. It does not know how a file is
parsed, how a vector is made or how an index is built.
"""

from rag.store.accounts import FIRST_ADMIN, Account, role_of
from rag.store.audit import Outcome, Record, Wanted
from rag.store.directory import Identity, Terms, Vouched
from rag.store.documents import CollectionInfo, Narrowing
from rag.store.erasure import Erasure, Material, Named
from rag.store.forget import Deletion
from rag.store.integrity import Stats
from rag.store.keys import KEY_PREFIX, SCOPES, Key, Scope
from rag.store.mapped import Readers, Said, meet
from rag.store.models import Model, Models
from rag.store.originals import Arriving, Originals
from rag.store.people import Group, Owner, Person, Role
from rag.store.people import parsed as parsed_principal
from rag.store.quarantine import Place, Quarantined, ScreenedDocument, Suspicion
from rag.store.runs import UPLOAD, Counts, Failure, Run, Sight
from rag.store.signing import LINK_TTL, SESSION_TTL, How, Session
from rag.store.store import Store
from rag.store.trail import Trail
from rag.store.vectors import Unembedded, are_unit
from rag.store.withheld import Withheld

__all__ = [
    "FIRST_ADMIN",
    "KEY_PREFIX",
    "LINK_TTL",
    "SCOPES",
    "SESSION_TTL",
    "UPLOAD",
    "Account",
    "Arriving",
    "CollectionInfo",
    "Counts",
    "Deletion",
    "Erasure",
    "Failure",
    "Group",
    "How",
    "Identity",
    "Key",
    "Material",
    "Model",
    "Models",
    "Named",
    "Narrowing",
    "Originals",
    "Outcome",
    "Owner",
    "Person",
    "Place",
    "Quarantined",
    "Readers",
    "Record",
    "Role",
    "Run",
    "Said",
    "Scope",
    "ScreenedDocument",
    "Session",
    "Sight",
    "Stats",
    "Store",
    "Suspicion",
    "Terms",
    "Trail",
    "Unembedded",
    "Vouched",
    "Wanted",
    "Withheld",
    "are_unit",
    "meet",
    "parsed_principal",
    "role_of",
]
