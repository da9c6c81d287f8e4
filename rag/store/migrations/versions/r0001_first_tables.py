"""The first tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Uri = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create everything, and the change log's counter with it."""
    _create_files()
    _create_contents()
    _create_log()


def downgrade() -> None:
    """Drop everything."""
    for table in (
        "snapshots",
        "log_head",
        "changes",
        "vectors",
        "chunks",
        "pages",
        "documents",
        "sources",
        "collections",
    ):
        op.drop_table(table)


def _text(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _integers(*names: str, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Integer(), nullable=nullable) for name in names]


def _create_files() -> None:
    op.create_table(
        "collections",
        sa.Column("id", Id, nullable=False),
        *_text("name"),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collections"),
        sa.UniqueConstraint("name", name="uq_collections_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sources",
        sa.Column("id", Id, nullable=False),
        sa.Column("collection_id", Id, nullable=False),
        sa.Column("uri", Uri, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        *_text("content_sha256", "fingerprint", "state", "error", "hint"),
        sa.Column("retry", sa.Boolean(), nullable=False),
        sa.Column("changed_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sources"),
        sa.UniqueConstraint("collection_id", "uri", name="uq_sources_collection_id_uri"),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.id"], name="fk_sources_collection_id_collections"
        ),
        sa.CheckConstraint("state IN ('ingested', 'failed')", name="ck_sources_state"),
        sqlite_autoincrement=True,
    )


def _create_contents() -> None:
    op.create_table(
        "documents",
        sa.Column("id", Id, nullable=False),
        sa.Column("collection_id", Id, nullable=False),
        sa.Column("source_id", Id, nullable=False),
        sa.Column("parent_id", Id, nullable=True),
        sa.Column("source_uri", Uri, nullable=False),
        *_text("title", "media_type", "language"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        *_integers("n_chars", "n_chunks", "n_pages"),
        *_text("content_sha256"),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("ingested_at", Time, nullable=False),
        *_text("text"),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        sa.UniqueConstraint(
            "collection_id", "source_uri", name="uq_documents_collection_id_source_uri"
        ),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.id"], name="fk_documents_collection_id_collections"
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["sources.id"], name="fk_documents_source_id_sources"
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["documents.id"],
            name="fk_documents_parent_id_documents",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_documents_source_id", "documents", ["source_id"])
    op.create_index("ix_documents_parent_id", "documents", ["parent_id"])
    op.create_index(
        "ix_documents_collection_id_n_chunks", "documents", ["collection_id", "n_chunks"]
    )
    _create_pages_and_chunks()


def _create_pages_and_chunks() -> None:
    op.create_table(
        "pages",
        sa.Column("document_id", Id, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("width", sa.Float(), nullable=False),
        sa.Column("height", sa.Float(), nullable=False),
        *_integers("char_start", "char_end"),
        sa.Column("words", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", "number", name="pk_pages"),
        _owned_by("documents", "document_id", table="pages"),
    )
    op.create_table(
        "chunks",
        sa.Column("id", Id, nullable=False),
        sa.Column("document_id", Id, nullable=False),
        *_integers("ordinal", "char_start", "char_end", "header_start", "header_end"),
        *_integers("page_start", "page_end", nullable=True),
        *_integers("n_tokens"),
        sa.Column("heading_path", sa.JSON(), nullable=False),
        sa.Column("boxes", sa.JSON(), nullable=False),
        *_text("text", "header"),
        sa.PrimaryKeyConstraint("id", name="pk_chunks"),
        sa.UniqueConstraint("document_id", "ordinal", name="uq_chunks_document_id_ordinal"),
        _owned_by("documents", "document_id", table="chunks"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "vectors",
        sa.Column("chunk_id", Id, autoincrement=False, nullable=False),
        *_text("model_id"),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chunk_id", name="pk_vectors"),
        _owned_by("chunks", "chunk_id", table="vectors"),
    )
    op.create_index("ix_vectors_model_id", "vectors", ["model_id"])


def _owned_by(owner: str, column: str, *, table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}_{owner}"
    return sa.ForeignKeyConstraint([column], [f"{owner}.id"], name=name, ondelete="CASCADE")


def _create_log() -> None:
    op.create_table(
        "changes",
        sa.Column("seq", Id, autoincrement=False, nullable=False),
        *_text("op"),
        sa.Column("document_id", sa.BigInteger(), nullable=False),
        sa.Column("chunk_ids", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_changes"),
        sa.CheckConstraint("op IN ('put', 'delete')", name="ck_changes_op"),
    )
    op.create_index("ix_changes_document_id", "changes", ["document_id"])
    head = op.create_table(
        "log_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_log_head"),
        sa.CheckConstraint("id = 1", name="ck_log_head_single_row"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0}])
    op.create_table(
        "snapshots",
        sa.Column("id", Id, nullable=False),
        *_text("kind"),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        *_text("path", "sha256", "config"),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_snapshots"),
        sa.UniqueConstraint("path", name="uq_snapshots_path"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_snapshots_kind", "snapshots", ["kind"])
