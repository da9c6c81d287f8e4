"""What people and programs have done: conversations, runs, the audit chain."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from rag.store.tables.base import Id, UtcDateTime, belongs_to, metadata, owned_by

conversations = Table(
    "conversations",
    metadata,
    Column("id", Id, primary_key=True),
    belongs_to("principal_id", "principals"),
    Column("title", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),  # counts the changes; the ETag
    sqlite_autoincrement=True,
)

turns = Table(
    "turns",
    metadata,
    Column("id", Id, primary_key=True),
    Column("conversation_id", ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("request_id", Text, nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", JSON, nullable=False),  # as `rag.wire.final_json` writes it
    UniqueConstraint("conversation_id", "ordinal"),
    sqlite_autoincrement=True,
)

turn_documents = Table(
    "turn_documents",
    metadata,
    owned_by("turn_id", "turns"),
    # What the answer quotes. No foreign key: it has to be found after the document has gone.
    Column("document_id", BigInteger, primary_key=True, autoincrement=False, index=True),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Id, primary_key=True),
    belongs_to("principal_id", "principals"),
    Column("request_id", Text, nullable=False),
    Column("rating", Integer, nullable=False),
    Column("comment", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("principal_id", "request_id"),
    CheckConstraint("rating IN (-1, 1)", name="rating"),
    sqlite_autoincrement=True,
)

ingest_runs = Table(
    "ingest_runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("collection_id", ForeignKey("collections.id", ondelete="CASCADE"), nullable=False),
    # No foreign key: the run outlives who has started it.
    Column("principal_id", BigInteger, nullable=False),
    Column("paths", JSON, nullable=False),  # of an upload: the one URI that it gets
    Column("content_sha256", Text, nullable=False),  # of an upload; empty where files are read
    Column("state", Text, nullable=False, index=True),
    Column("is_to_stop", Boolean, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("failures", JSON, nullable=False),
    Column("message", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    CheckConstraint("state IN ('waiting', 'running', 'done', 'failed', 'cancelled')", name="state"),
    sqlite_autoincrement=True,
)

idempotency = Table(
    "idempotency",
    metadata,
    owned_by("principal_id", "principals"),
    Column("key", Text, primary_key=True),
    Column("request_sha256", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("response", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Id, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("kind", Text, nullable=False, index=True),
    # Who did it, by number: the name is not part of the chain, so that it can be forgotten.
    Column("actor_id", BigInteger, index=True),
    # The record itself as canonical JSON: what the hash is of must not depend on the database.
    Column("record", Text, nullable=False),
    Column("previous_sha256", Text, nullable=False),
    Column("sha256", Text, nullable=False),
)

audit_private = Table(
    "audit_private",
    metadata,
    # What belongs to a record and may have to be forgotten. The record has its hash with the salt.
    Column("seq", ForeignKey("audit.seq", ondelete="CASCADE"), primary_key=True),
    Column("salt", Text, nullable=False),
    Column("texts", Text, nullable=False),
)

audit_names = Table(
    "audit_names",
    metadata,
    # What they were called who are no longer principals.
    Column("principal_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
)

audit_pruning = Table(
    "audit_pruning",
    metadata,
    # Filled only inside the transaction that removes old records: a trigger refuses all others.
    Column("up_to", BigInteger, primary_key=True, autoincrement=False),
)

deletions = Table(
    "deletions",
    metadata,
    # What is to be forgotten, from before the first step until after the last, so that a run that
    # was killed is finished by the next.
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("detail", JSON, nullable=False),  # numbers and hashes, nothing of the content
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    sqlite_autoincrement=True,
)

forgotten = Table(
    "forgotten",
    metadata,
    # Contents that must not come in again from a folder where their file still lies.
    Column("content_sha256", Text, primary_key=True),
    Column("forgotten_at", UtcDateTime, nullable=False),
)
