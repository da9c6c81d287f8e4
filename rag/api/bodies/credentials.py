"""What is sent and answered about accounts, sessions and keys, as documented."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.api.bodies.requests import Plain, Secret
from rag.api.border.auth import Kind, Right
from rag.store import How, Role, Scope

Example = dict[str, Any]

ME: Example = {
    "name": "ann",
    "kind": "session",
    "roles": ["auditor"],
    "rights": ["admin", "ingest", "query", "search"],
    "groups": ["people"],
    "collections": [{"name": "hr", "right": "read"}],
    "has_password": True,
}
SESSION: Example = {
    "id": 12,
    "how": "password",
    "address": "192.0.2.17",
    "agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "created_at": "2026-03-02T08:30:00+00:00",
    "used_at": "2026-03-02T09:12:00+00:00",
    "expires_at": "2026-03-02T20:30:00+00:00",
    "current": True,
}
KEY: Example = {
    "id": 3,
    "owner": "ann",
    "name": "intranet search",
    "shown": "ck_q1w2e3",
    "scopes": ["search", "query"],
    "created_at": "2026-03-02T08:30:00+00:00",
    "used_at": None,
    "expires_at": "2027-03-02T08:30:00+00:00",
    "revoked_at": None,
}
NEW_KEY: Example = {"name": "intranet search", "scopes": ["search", "query"], "valid_days": 365}
MADE_KEY: Example = KEY | {"key": "ck_q1w2e3r4t5z6u7i8o9p0a1s2d3f4g5h6j7k8l9y0x1c2"}
PASSWORD: Example = {"password": "a sentence is good", "current": "an earlier sentence"}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class GrantedCollection(_Model):
    """A collection, and what may be done with it."""

    name: str
    right: Literal["read", "manage"]


class Me(_Model):
    """Who the caller is, and what the credential is good for."""

    model_config = ConfigDict(json_schema_extra={"examples": [ME]})
    name: str = Field(description="A user's name, or `operator`.")
    kind: Kind = Field(description="What was shown: the API token, a session, nothing, or a key.")
    roles: list[Role]
    rights: list[Right] = Field(description="What the credential may be used for.")
    groups: list[str]
    collections: list[GrantedCollection]
    has_password: bool


class Session(_Model):
    """That somebody is signed in."""

    model_config = ConfigDict(json_schema_extra={"examples": [SESSION]})
    id: int
    how: How
    address: str
    agent: str = Field(description="What the browser said that it is.")
    created_at: datetime
    used_at: datetime = Field(description="To the minute.")
    expires_at: datetime
    current: bool = Field(description="Whether this request came with it.")


class SessionList(_Model):
    """Sessions, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sessions": [SESSION]}]})
    sessions: list[Session]


class Key(_Model):
    """An API key, without its text."""

    model_config = ConfigDict(json_schema_extra={"examples": [KEY]})
    id: int
    owner: str = Field(description="A user's name, or `operator`.")
    name: str
    shown: str = Field(description="Its first characters, to know it again.")
    scopes: list[Scope]
    created_at: datetime
    used_at: datetime | None = Field(description="To the minute.")
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyList(_Model):
    """Keys, newest first, also those that were revoked."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"keys": [KEY]}]})
    keys: list[Key]


class MadeKey(Key):
    """A new key. Its text is in this answer and nowhere else."""

    model_config = ConfigDict(json_schema_extra={"examples": [MADE_KEY]})
    key: str = Field(description="Send it as `Authorization: Bearer …`.")


class NewKey(_Model):
    """A key to be made."""

    model_config = ConfigDict(json_schema_extra={"examples": [NEW_KEY]})
    name: Plain = Field(description="What it is for.")
    scopes: list[Scope] = Field(min_length=1, max_length=10)
    user: Plain | None = Field(None, description="Whose it is; yours, where unset. For admins.")
    valid_days: int | None = Field(None, ge=1, le=3650, description="For ever, where unset.")


class NewPassword(_Model):
    """A password to be set."""

    model_config = ConfigDict(json_schema_extra={"examples": [PASSWORD]})
    password: Secret = Field(description="12 characters or more, not the name.")
    current: Secret = Field("", description="The one until now, if there is one.")
