"""The one rule of who may read what; everything that reads for a person asks it.

A document may be read by whom its collection is granted to and, where what it was made from has a
list of its own, whom that list names as well. See `rag.store.access` for how both come about.
"""

from sqlalchemy import ColumnElement, and_, exists, or_

from rag.store import tables
from rag.types import Access


def readable(access: Access) -> ColumnElement[bool]:
    """Whether a document, joined with its collection and its source, may be read."""
    return and_(
        tables.collections.c.name.in_(access.collections),
        or_(tables.sources.c.list_id.is_(None), named(access)),
    )


def named(access: Access) -> ColumnElement[bool]:
    """Whether the list of a source names one of the caller's principals."""
    entries = tables.access_entries
    return exists().where(
        entries.c.list_id == tables.sources.c.list_id,
        entries.c.principal_id.in_(access.principals),
    )
