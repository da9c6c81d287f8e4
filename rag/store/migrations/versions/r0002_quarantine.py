"""Passages that read like an instruction to a model, and what an admin decided about them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create both tables, empty: what was stored before is screened when it is read anew."""
    op.create_table(
        "quarantine",
        sa.Column("chunk_id", Id, autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("text_sha256", sa.Text(), nullable=False),
        sa.Column("char_start", sa.Integer(), nullable=False),
        sa.Column("char_end", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("chunk_id", name="pk_quarantine"),
        sa.ForeignKeyConstraint(
            ["chunk_id"], ["chunks.id"], name="fk_quarantine_chunk_id_chunks", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "decisions",
        sa.Column("text_sha256", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("text_sha256", name="pk_decisions"),
        sa.CheckConstraint("decision IN ('released', 'removed')", name="ck_decisions_decision"),
    )


def downgrade() -> None:
    """Drop both."""
    op.drop_table("decisions")
    op.drop_table("quarantine")
