"""Embedding models that are known, and vectors of more than one of them for a chunk."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATES = "'added', 'building', 'built', 'current', 'previous', 'removed'"


def upgrade() -> None:
    """Create the table, empty: whoever ingests next enters the model that is in use."""
    op.create_table(
        "models",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.Column("max_tokens", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reached", sa.BigInteger(), nullable=False),
        sa.Column("n_cut", sa.BigInteger(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("comparison", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("name", name="uq_models_name"),
        sa.CheckConstraint(f"state IN ({STATES})", name="ck_models_state"),
    )
    _key_of_vectors("chunk_id", "model_id")


def downgrade() -> None:
    """Drop it; of each chunk only the vector that searches use stays."""
    used = "SELECT id FROM models WHERE state = 'current'"
    op.execute(
        f"DELETE FROM vectors WHERE model_id NOT IN ({used}) AND EXISTS ({used})"  # noqa: S608
    )
    _key_of_vectors("chunk_id")
    op.drop_table("models")


def _key_of_vectors(*columns: str) -> None:
    with op.batch_alter_table("vectors") as vectors:
        vectors.drop_constraint("pk_vectors", type_="primary")
        vectors.create_primary_key("pk_vectors", [*columns])
