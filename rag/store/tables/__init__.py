"""The tables. The migrations bring a database to what is written here; a test compares the two.

Ids are never given twice, so that an index or a citation that is behind the store points at
nothing rather than at something else.
"""

from rag.store.tables.base import UtcDateTime, metadata
from rag.store.tables.content import (
    changes,
    chunks,
    collections,
    decisions,
    documents,
    log_head,
    pages,
    quarantine,
    snapshots,
    sources,
    vectors,
    withheld,
)
from rag.store.tables.people import (
    access_entries,
    access_lists,
    access_rules,
    api_keys,
    grants,
    identities,
    login_links,
    memberships,
    passwords,
    principals,
    roles,
    sessions,
)
from rag.store.tables.records import (
    audit,
    conversations,
    deletions,
    feedback,
    idempotency,
    ingest_runs,
    turn_documents,
    turns,
)

__all__ = [
    "UtcDateTime",
    "access_entries",
    "access_lists",
    "access_rules",
    "api_keys",
    "audit",
    "changes",
    "chunks",
    "collections",
    "conversations",
    "decisions",
    "deletions",
    "documents",
    "feedback",
    "grants",
    "idempotency",
    "identities",
    "ingest_runs",
    "log_head",
    "login_links",
    "memberships",
    "metadata",
    "pages",
    "passwords",
    "principals",
    "quarantine",
    "roles",
    "sessions",
    "snapshots",
    "sources",
    "turn_documents",
    "turns",
    "vectors",
    "withheld",
]
