"""People sign in; keys, conversations, runs, the audit chain and deletions."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time = sa.DateTime(timezone=True)

# Records are added and never changed, and only those are deleted that are past their time.
_TRIGGERS = {
    "sqlite": (
        """CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'audit records are never changed'); END""",
        """CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
        WHEN NOT EXISTS (SELECT 1 FROM audit_pruning WHERE up_to >= OLD.seq)
        BEGIN SELECT RAISE(ABORT, 'audit records are never deleted'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'DELETE' THEN
            IF EXISTS (SELECT 1 FROM audit_pruning WHERE up_to >= OLD.seq) THEN
                RETURN OLD;
            END IF;
        END IF;
        RAISE EXCEPTION 'audit records are never changed or deleted'; END $$""",
        """CREATE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE ON audit
        FOR EACH ROW EXECUTE FUNCTION audit_refuse()""",
        """CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit
        FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    ),
}


def upgrade() -> None:
    """Create the tables; who is in a group now was put there by a command."""
    op.add_column(
        "memberships", sa.Column("origin", sa.Text(), nullable=False, server_default="command")
    )
    _rules_of(("command", "file", "met"), "collection_id", "uri", "origin")
    op.create_table(
        "audit",
        sa.Column("seq", Id, autoincrement=False, nullable=False),
        sa.Column("at", Time, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.BigInteger()),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("previous_sha256", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_kind", "audit", ["kind"])
    op.create_index("ix_audit_actor_id", "audit", ["actor_id"])
    op.create_table(
        "audit_private",
        sa.Column("seq", Id, autoincrement=False, nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("texts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["seq"], ["audit.seq"], name="fk_audit_private_seq_audit", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_private"),
    )
    op.create_table(
        "audit_names",
        sa.Column("principal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("principal_id", name="pk_audit_names"),
    )
    op.create_table(
        "audit_pruning",
        sa.Column("up_to", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("up_to", name="pk_audit_pruning"),
    )
    for statement in _TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)
    op.create_table(
        "forgotten",
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("forgotten_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("content_sha256", name="pk_forgotten"),
    )
    op.create_table(
        "deletions",
        sa.Column("id", Id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("ended_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_deletions"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "api_keys",
        sa.Column("id", Id, nullable=False),
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("principal_id", Id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("used_at", Time),
        sa.Column("expires_at", Time),
        sa.Column("revoked_at", Time),
        sa.ForeignKeyConstraint(
            ["principal_id"],
            ["principals.id"],
            name="fk_api_keys_principal_id_principals",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("token_sha256", name="uq_api_keys_token_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_api_keys_principal_id", "api_keys", ["principal_id"])
    op.create_table(
        "conversations",
        sa.Column("id", Id, nullable=False),
        sa.Column("principal_id", Id, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("updated_at", Time, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["principal_id"],
            ["principals.id"],
            name="fk_conversations_principal_id_principals",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_conversations_principal_id", "conversations", ["principal_id"])
    op.create_table(
        "feedback",
        sa.Column("id", Id, nullable=False),
        sa.Column("principal_id", Id, nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.CheckConstraint("rating IN (-1, 1)", name="ck_feedback_rating"),
        sa.ForeignKeyConstraint(
            ["principal_id"],
            ["principals.id"],
            name="fk_feedback_principal_id_principals",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
        sa.UniqueConstraint(
            "principal_id", "request_id", name="uq_feedback_principal_id_request_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_feedback_principal_id", "feedback", ["principal_id"])
    op.create_table(
        "idempotency",
        sa.Column("principal_id", Id, autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("response", sa.JSON(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["principal_id"],
            ["principals.id"],
            name="fk_idempotency_principal_id_principals",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("principal_id", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])
    op.create_table(
        "identities",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("user_id", Id, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["principals.id"],
            name="fk_identities_user_id_principals",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_identities"),
    )
    op.create_index("ix_identities_user_id", "identities", ["user_id"])
    op.create_table(
        "ingest_runs",
        sa.Column("id", Id, nullable=False),
        sa.Column("collection_id", Id, nullable=False),
        sa.Column("principal_id", sa.BigInteger(), nullable=False),
        sa.Column("paths", sa.JSON(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("is_to_stop", sa.Boolean(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("failures", sa.JSON(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("ended_at", Time),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'failed', 'cancelled')",
            name="ck_ingest_runs_state",
        ),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collections.id"],
            name="fk_ingest_runs_collection_id_collections",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_ingest_runs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ingest_runs_state", "ingest_runs", ["state"])
    op.create_table(
        "login_links",
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("principal_id", Id, nullable=False),
        sa.Column("expires_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["principal_id"],
            ["principals.id"],
            name="fk_login_links_principal_id_principals",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_login_links"),
    )
    op.create_index("ix_login_links_principal_id", "login_links", ["principal_id"])
    op.create_table(
        "passwords",
        sa.Column("user_id", Id, autoincrement=False, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("changed_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["principals.id"],
            name="fk_passwords_user_id_principals",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", name="pk_passwords"),
    )
    op.create_table(
        "roles",
        sa.Column("principal_id", Id, autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.CheckConstraint("role IN ('admin', 'auditor')", name="ck_roles_role"),
        sa.ForeignKeyConstraint(
            ["principal_id"],
            ["principals.id"],
            name="fk_roles_principal_id_principals",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("principal_id", "role", name="pk_roles"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", Id, nullable=False),
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("principal_id", Id, nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("used_at", Time, nullable=False),
        sa.Column("expires_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["principal_id"],
            ["principals.id"],
            name="fk_sessions_principal_id_principals",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("token_sha256", name="uq_sessions_token_sha256"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sessions_principal_id", "sessions", ["principal_id"])
    op.create_table(
        "turns",
        sa.Column("id", Id, nullable=False),
        sa.Column("conversation_id", Id, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_turns_conversation_id_conversations",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_turns"),
        sa.UniqueConstraint("conversation_id", "ordinal", name="uq_turns_conversation_id_ordinal"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_turns_request_id", "turns", ["request_id"])
    op.create_table(
        "turn_documents",
        sa.Column("turn_id", Id, autoincrement=False, nullable=False),
        sa.Column("document_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["turns.id"], name="fk_turn_documents_turn_id_turns", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("turn_id", "document_id", name="pk_turn_documents"),
    )
    op.create_index("ix_turn_documents_document_id", "turn_documents", ["document_id"])


def _rules_of(origins: tuple[str, ...], *key: str) -> None:
    """Make the table of access rules anew, for other origins and with another key."""
    query = sa.text("SELECT * FROM access_rules ORDER BY origin")
    rows = [dict(row) for row in op.get_bind().execute(query).mappings()]
    op.drop_table("access_rules")
    allowed = ", ".join(f"'{origin}'" for origin in origins)
    made = op.create_table(
        "access_rules",
        sa.Column("collection_id", Id, autoincrement=False, nullable=False),
        sa.Column("uri", sa.Text().with_variant(sa.Text(collation="C"), "postgresql")),
        sa.Column("list_id", Id, nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(*key, name="pk_access_rules"),
        sa.CheckConstraint(f"origin IN ({allowed})", name="ck_access_rules_origin"),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{to}.id"], name=f"fk_access_rules_{column}_{to}", ondelete="CASCADE"
            )
            for column, to in (("collection_id", "collections"), ("list_id", "access_lists"))
        ),
    )
    roots = [(row["collection_id"], row["uri"][:-1]) for row in rows if row["uri"].endswith("/.")]
    for row in rows:
        where = row["collection_id"], row["uri"] + "/"
        if row["origin"] != "command" and any(
            where[0] == at and where[1].startswith(root) for at, root in roots
        ):
            row["origin"] = "met"  # by permissions of the file system
        row["origin"] = row["origin"] if row["origin"] in origins else "file"
    op.bulk_insert(made, list({tuple(row[name] for name in key): row for row in rows}.values()))


def downgrade() -> None:
    """Drop them; of several rules at one place, the one that holds is left."""
    for table in (
        "turn_documents",
        "turns",
        "sessions",
        "roles",
        "passwords",
        "login_links",
        "ingest_runs",
        "identities",
        "idempotency",
        "feedback",
        "conversations",
        "api_keys",
        "deletions",
        "forgotten",
        "audit_pruning",
        "audit_names",
        "audit_private",
        "audit",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_refuse()")
    _rules_of(("command", "file"), "collection_id", "uri")
    op.drop_column("memberships", "origin")
