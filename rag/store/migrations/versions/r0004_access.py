"""People, groups, and who may read what.

What was there stays readable to the operator, and to nobody else until it is granted.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables, with the operator, who may manage every collection there is."""
    principals = op.create_table(
        "principals",
        sa.Column("id", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_principals"),
        sa.UniqueConstraint("kind", "name", name="uq_principals_kind_name"),
        sa.CheckConstraint("kind IN ('operator', 'user', 'group')", name="ck_principals_kind"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "memberships",
        sa.Column("group_id", Id, autoincrement=False, nullable=False),
        sa.Column("user_id", Id, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("group_id", "user_id", name="pk_memberships"),
        _belongs("memberships", "group_id", "principals"),
        _belongs("memberships", "user_id", "principals"),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"])
    op.create_table(
        "grants",
        sa.Column("collection_id", Id, autoincrement=False, nullable=False),
        sa.Column("principal_id", Id, autoincrement=False, nullable=False),
        sa.Column("right", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("collection_id", "principal_id", name="pk_grants"),
        _belongs("grants", "collection_id", "collections"),
        _belongs("grants", "principal_id", "principals"),
        sa.CheckConstraint("\"right\" IN ('read', 'manage')", name="ck_grants_right"),
    )
    op.create_index("ix_grants_principal_id", "grants", ["principal_id"])
    op.create_table(
        "access_lists",
        sa.Column("id", Id, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_lists"),
        sa.UniqueConstraint("sha256", name="uq_access_lists_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "access_entries",
        sa.Column("list_id", Id, autoincrement=False, nullable=False),
        sa.Column("principal_id", Id, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("list_id", "principal_id", name="pk_access_entries"),
        _belongs("access_entries", "list_id", "access_lists"),
        _belongs("access_entries", "principal_id", "principals"),
    )
    op.create_index("ix_access_entries_principal_id", "access_entries", ["principal_id"])
    op.create_table(
        "access_rules",
        sa.Column("collection_id", Id, autoincrement=False, nullable=False),
        sa.Column("uri", sa.Text().with_variant(sa.Text(collation="C"), "postgresql")),
        sa.Column("list_id", Id, nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("collection_id", "uri", name="pk_access_rules"),
        sa.CheckConstraint("origin IN ('command', 'file')", name="ck_access_rules_origin"),
        _belongs("access_rules", "collection_id", "collections"),
        _belongs("access_rules", "list_id", "access_lists"),
    )
    op.add_column("sources", sa.Column("list_id", sa.BigInteger(), nullable=True))
    op.create_index("ix_sources_list_id", "sources", ["list_id"])
    operator = {"kind": "operator", "name": "operator", "disabled": False}
    op.bulk_insert(principals, [{**operator, "created_at": datetime.now(UTC)}])
    op.execute(
        'INSERT INTO grants (collection_id, principal_id, "right")'
        " SELECT collections.id, principals.id, 'manage' FROM collections, principals"
    )


def _belongs(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}_{to}"
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=name, ondelete="CASCADE")


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_sources_list_id", "sources")
    op.drop_column("sources", "list_id")
    for table in (
        "access_rules",
        "access_entries",
        "access_lists",
        "grants",
        "memberships",
        "principals",
    ):
        op.drop_table(table)
