"""Who acts, for the audit records: set once at a border, read where something is recorded.

The API's border sets it for a request, the command for its process; it follows the work into
threads. So nothing between border and store has to hand it on, and nothing can leave it out.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, from where and by what right.

    `system` is what runs without being asked, `nobody` who has not signed in.
    """

    kind: Literal["operator", "user", "system", "nobody"]
    number: int | None = None  # of a user
    how: str = ""  # command, bearer, session, key, same_user
    credential: int | None = None  # number of the key or session
    request_id: str = ""
    address: str = ""
    account: str = ""  # of the operating system, of whoever runs a command


SYSTEM = Actor("system")
acting: ContextVar[Actor] = ContextVar("acting", default=SYSTEM)
