"""Users, groups, roles, collections, grants, limits and settings as the API documents them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.api.bodies.examples import Example
from rag.api.bodies.requests import Path, Plain

USER: Example = {"name": "ann", "disabled": False, "groups": ["hr"], "roles": ["admin"]}
GROUP: Example = {"name": "hr", "members": ["ann"]}
GRANT: Example = {"collection": "hr", "principal": "group:hr", "right": "read"}
LIMIT: Example = {
    "collection": "hr",
    "uri": "/srv/documents/hr/salaries",
    "principals": ["user:ann"],
}
SETTINGS: Example = {
    "settings": [
        {
            "name": "data_dir",
            "value": "/var/lib/citadel",
            "description": "Where database, originals and index snapshots live.",
        },
        {
            "name": "token",
            "value": "(set)",
            "description": "Fixed API token; made at random and kept in data_dir when unset.",
        },
    ]
}


def _with(example: Example) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


Name = Annotated[Plain, Field(description="Letters, digits and any of . _ @ + -")]
Who = Annotated[Plain, Field(description="user:NAME or group:NAME.")]
RoleName = Literal["admin", "auditor"]
RightName = Literal["read", "manage"]
SettingValue = str | int | float | bool | list[str] | dict[str, str] | None


class NewPrincipal(_Model):
    """Who is to be added."""

    model_config = _with({"name": "ann"})
    name: Name


class UserChange(_Model):
    """What is to be changed of a user."""

    model_config = _with({"disabled": True})
    disabled: bool


class User(_Model):
    """A user; `roles` are the user's own, without those by a group."""

    model_config = _with(USER)
    name: str
    disabled: bool
    groups: list[str]
    roles: list[RoleName]


class UserList(_Model):
    """All users by name."""

    model_config = _with({"users": [USER]})
    users: list[User]


class Group(_Model):
    """A group."""

    model_config = _with(GROUP)
    name: str
    members: list[str]


class GroupList(_Model):
    """All groups by name."""

    model_config = _with({"groups": [GROUP]})
    groups: list[Group]


class Done(_Model):
    """Whether something was there to be done."""

    model_config = _with({"done": True})
    done: bool


class NewCollection(_Model):
    """The collection to be made."""

    model_config = _with({"name": "hr"})
    name: Name


class MadeCollection(_Model):
    """The collection that was made."""

    model_config = _with({"name": "hr"})
    name: str


class RemovedCollection(_Model):
    """The collection that was removed, and how much with it."""

    model_config = _with({"name": "hr", "n_documents_removed": 0})
    name: str
    n_documents_removed: int


class GrantRequest(_Model):
    """Who is to be let do what with which collection."""

    model_config = _with(GRANT)
    collection: Plain
    principal: Who
    right: RightName


class Grant(_Model):
    """What a principal may do with a collection."""

    model_config = _with(GRANT)
    collection: str
    principal: str = Field(description="user:NAME, group:NAME, or operator.")
    right: RightName


class GrantList(_Model):
    """Grants by collection and principal."""

    model_config = _with({"grants": [GRANT]})
    grants: list[Grant]


class LimitRequest(_Model):
    """Who alone is to read a file, or what is below a folder."""

    model_config = _with(LIMIT)
    collection: Plain
    uri: Path = Field(min_length=1, description="A file or folder, as documents name it.")
    principals: list[Who] = Field(
        max_length=200, description="Nobody but the operator where it is empty."
    )


class Limit(_Model):
    """Who alone reads a file, or what is below a folder; null: all who may read the collection."""

    model_config = _with(LIMIT)
    collection: str
    uri: str
    principals: list[str] | None


class ListedLimit(Limit):
    """A limit with who says so: a command, the folder's own file, or the file system."""

    model_config = _with(LIMIT | {"origin": "command"})
    origin: Literal["command", "file", "permissions"]


class LimitList(_Model):
    """Limits by collection and place."""

    model_config = _with({"limits": [LIMIT | {"origin": "command"}]})
    limits: list[ListedLimit]


class Setting(_Model):
    """A setting as the server sees it."""

    name: str
    value: SettingValue
    description: str


class SettingList(_Model):
    """Every setting."""

    model_config = _with(SETTINGS)
    settings: list[Setting]
