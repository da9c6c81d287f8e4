"""What there is of documents and of a user, read before it is forgotten, to look for it later."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from rag.store import tables
from rag.store.documents import IN_LIMIT
from rag.store.forget import documents_of

_documents, _chunks = tables.documents, tables.chunks

Parts = tuple[
    tuple[int, ...],
    tuple[int, ...],
    tuple[str, ...],
    tuple[str, ...],
    tuple[bytes, ...],
    tuple[bytes, ...],
]


def material(connection: Connection, source_ids: Sequence[int]) -> Parts:
    """Documents, chunks, hashes, texts, vectors and packed pages of these sources."""
    made = documents_of(connection, source_ids)
    ids = [row.id for row in made]
    of_them = _documents.c.source_id.in_(source_ids)
    hashes = set(
        connection.scalars(
            select(tables.sources.c.content_sha256).where(tables.sources.c.id.in_(source_ids))
        )
    )
    in_documents = _chunks.c.document_id.in_(select(_documents.c.id).where(of_them))
    chunks = select(_chunks.c.id).where(in_documents).order_by(_chunks.c.id)
    vectors = select(tables.vectors.c.vector).where(tables.vectors.c.chunk_id.in_(chunks))
    pages = select(tables.pages.c.words).where(
        tables.pages.c.document_id.in_(select(_documents.c.id).where(of_them))
    )
    return (
        tuple(ids),
        tuple(connection.scalars(chunks)),
        tuple(sorted((hashes | {row.content_sha256 for row in made}) - {""})),
        tuple(connection.scalars(select(_documents.c.text).where(of_them))),
        tuple(bytes(vector) for vector in connection.scalars(vectors.limit(IN_LIMIT))),
        tuple(bytes(words) for words in connection.scalars(pages.limit(IN_LIMIT))),
    )


def unique(connection: Connection, pieces: Sequence[str], documents: Sequence[int]) -> list[str]:
    """Those that no other document has in its text."""
    found = []
    for piece in pieces:
        others = select(_documents.c.id).where(
            _documents.c.text.contains(piece, autoescape=True), _documents.c.id.not_in(documents)
        )
        if connection.execute(others.limit(1)).first() is None:
            found.append(piece)
    return found


def of_users(
    connection: Connection, numbers: Sequence[int]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a user has written, and what keys, sessions and passwords are known by."""
    conversations, turns = tables.conversations, tables.turns
    said = select(turns.c.question).join(conversations)
    texts = list(connection.scalars(said.where(conversations.c.principal_id.in_(numbers))))
    comments = select(tables.feedback.c.comment)
    texts += connection.scalars(comments.where(tables.feedback.c.principal_id.in_(numbers)))
    secrets: list[str] = []
    for column, owner in (
        (tables.passwords.c.hash, tables.passwords.c.user_id),
        (tables.api_keys.c.token_sha256, tables.api_keys.c.principal_id),
        (tables.sessions.c.token_sha256, tables.sessions.c.principal_id),
        (tables.identities.c.subject, tables.identities.c.user_id),
    ):
        secrets += connection.scalars(select(column).where(owner.in_(numbers)))
    return tuple(texts), tuple(secrets)
