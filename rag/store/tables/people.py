"""Who there is, how they sign in, and what they may read."""

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Table,
    Text,
    UniqueConstraint,
)

from rag.store.tables.base import Id, Uri, UtcDateTime, belongs_to, metadata, owned_by

principals = Table(
    "principals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("kind", "name"),
    CheckConstraint("kind IN ('operator', 'user', 'group')", name="kind"),
    sqlite_autoincrement=True,
)

memberships = Table(
    "memberships",
    metadata,
    owned_by("group_id", "principals"),
    owned_by("user_id", "principals", index=True),
    # Who put the user there: a command, or the company's directory, which may take it back.
    Column("origin", Text, nullable=False, server_default="command"),
)

roles = Table(
    "roles",
    metadata,
    owned_by("principal_id", "principals"),
    Column("role", Text, primary_key=True),
    CheckConstraint("role IN ('admin', 'auditor')", name="role"),
)

grants = Table(
    "grants",
    metadata,
    owned_by("collection_id", "collections"),
    owned_by("principal_id", "principals", index=True),
    Column("right", Text, nullable=False),
    CheckConstraint("\"right\" IN ('read', 'manage')", name="right"),
)

access_lists = Table(
    "access_lists",
    metadata,
    Column("id", Id, primary_key=True),
    Column("sha256", Text, nullable=False, unique=True),  # of the principals in it
    sqlite_autoincrement=True,
)

access_entries = Table(
    "access_entries",
    metadata,
    owned_by("list_id", "access_lists"),
    owned_by("principal_id", "principals", index=True),
)

access_rules = Table(
    "access_rules",
    metadata,
    owned_by("collection_id", "collections"),
    Column("uri", Uri, primary_key=True),  # of a file, or of a folder for all that is below it
    Column("list_id", ForeignKey("access_lists.id", ondelete="CASCADE")),  # null: not limited
    Column("origin", Text, primary_key=True),  # a command, a folder's file, what comes of both
    CheckConstraint("origin IN ('command', 'file', 'met')", name="origin"),
)

passwords = Table(
    "passwords",
    metadata,
    owned_by("user_id", "principals"),
    Column("hash", Text, nullable=False),  # argon2id, with its salt and parameters
    Column("changed_at", UtcDateTime, nullable=False),
)

identities = Table(
    "identities",
    metadata,
    # Who a user is to the company: a directory's own name for itself, and in it for the user.
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("user_id", ForeignKey("principals.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
)

login_links = Table(
    "login_links",
    metadata,
    Column("token_sha256", Text, primary_key=True),
    belongs_to("principal_id", "principals"),
    Column("expires_at", UtcDateTime, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("token_sha256", Text, nullable=False, unique=True),
    belongs_to("principal_id", "principals"),
    Column("how", Text, nullable=False),  # link, password, oidc, ldap
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("token_sha256", Text, nullable=False, unique=True),
    belongs_to("principal_id", "principals"),
    Column("name", Text, nullable=False),
    Column("shown", Text, nullable=False),  # its first characters, to know it again
    Column("scopes", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    sqlite_autoincrement=True,
)
