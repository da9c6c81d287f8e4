"""What was ingested, and what the indexes follow."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from rag.store.tables.base import Id, Uri, UtcDateTime, metadata

collections = Table(
    "collections",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

sources = Table(
    "sources",
    metadata,
    Column("id", Id, primary_key=True),
    Column("collection_id", ForeignKey("collections.id"), nullable=False),
    Column("uri", Uri, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("content_sha256", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("retry", Boolean, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    # Who alone may read what was made from it, of those who may read the collection; null: all of
    # them. It is what `access_rules` says of the URI. No foreign key, as SQLite can't add one to a
    # table; a list is never deleted.
    Column("list_id", BigInteger, index=True),
    UniqueConstraint("collection_id", "uri"),
    CheckConstraint("state IN ('ingested', 'failed')", name="state"),
    sqlite_autoincrement=True,
)

documents = Table(
    "documents",
    metadata,
    Column("id", Id, primary_key=True),
    Column("collection_id", ForeignKey("collections.id"), nullable=False),
    Column("source_id", ForeignKey("sources.id"), nullable=False, index=True),
    Column("parent_id", ForeignKey("documents.id", ondelete="CASCADE"), index=True),
    Column("source_uri", Uri, nullable=False),
    Column("title", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("n_chars", Integer, nullable=False),
    Column("n_chunks", Integer, nullable=False),
    Column("n_pages", Integer, nullable=False),
    Column("content_sha256", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("ingested_at", UtcDateTime, nullable=False),
    # Last, so that SQLite reads the columns before it without walking through a long text.
    Column("text", Text, nullable=False),
    UniqueConstraint("collection_id", "source_uri"),
    Index(None, "collection_id", "n_chunks"),  # counts without touching the rows
    sqlite_autoincrement=True,
)

pages = Table(
    "pages",
    metadata,
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("width", Float, nullable=False),
    Column("height", Float, nullable=False),
    Column("char_start", Integer, nullable=False),
    Column("char_end", Integer, nullable=False),
    Column("words", LargeBinary, nullable=False),  # zlib; see `rag.types.Page`
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("char_start", Integer, nullable=False),
    Column("char_end", Integer, nullable=False),
    Column("header_start", Integer, nullable=False),
    Column("header_end", Integer, nullable=False),
    Column("page_start", Integer),
    Column("page_end", Integer),
    Column("n_tokens", Integer, nullable=False),
    Column("heading_path", JSON, nullable=False),
    Column("boxes", JSON, nullable=False),  # [[page, x0, y0, x1, y1], …] to 1/100 point
    # Repeated from the document: cutting a span out of a long text reads all of it.
    Column("text", Text, nullable=False),
    Column("header", Text, nullable=False),
    UniqueConstraint("document_id", "ordinal"),
    sqlite_autoincrement=True,
)

vectors = Table(
    "vectors",
    metadata,
    Column("chunk_id", ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True),
    Column("model_id", Text, primary_key=True, index=True),
    Column("vector", LargeBinary, nullable=False),  # little-endian float32, unit length
)

models = Table(
    "models",
    metadata,
    Column("id", Text, primary_key=True),  # SHA-256 of its files
    Column("name", Text, nullable=False, unique=True),
    Column("dim", Integer, nullable=False),
    Column("max_tokens", Integer, nullable=False),
    Column("state", Text, nullable=False),
    # All chunks up to this id have a vector of it.
    Column("reached", BigInteger, nullable=False),
    Column("n_cut", BigInteger, nullable=False),  # texts longer than its window, so far
    Column("added_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("comparison", JSON(none_as_null=True)),
    CheckConstraint(
        "state IN ('added', 'building', 'built', 'current', 'previous', 'removed')", name="state"
    ),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("chunk_id", ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("text_sha256", Text, nullable=False),  # of what was judged; see `decisions`
    Column("char_start", Integer, nullable=False),  # what of the document's text is withheld
    Column("char_end", Integer, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    # No foreign key: a decision outlives the passage, and holds for the same text elsewhere.
    Column("text_sha256", Text, primary_key=True),
    Column("decision", Text, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    CheckConstraint("decision IN ('released', 'removed')", name="decision"),
)

withheld = Table(
    "withheld",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("request_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("categories", JSON, nullable=False),
    Column("probability", Float),
    Column("reason", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("collections", JSON, nullable=False),
    Column("engine", Text, nullable=False),
    CheckConstraint("status IN ('blocked', 'no_verdict')", name="status"),
    sqlite_autoincrement=True,
)

changes = Table(
    "changes",
    metadata,
    Column("seq", Id, primary_key=True, autoincrement=False),
    Column("op", Text, nullable=False),
    # No foreign key: the log outlives the document.
    Column("document_id", BigInteger, nullable=False, index=True),
    Column("chunk_ids", LargeBinary, nullable=False),  # little-endian int64
    CheckConstraint("op IN ('put', 'delete')", name="op"),
)

log_head = Table(
    "log_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="single_row"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False, index=True),
    Column("seq", BigInteger, nullable=False),
    Column("path", Text, nullable=False, unique=True),
    Column("sha256", Text, nullable=False),
    Column("config", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)
