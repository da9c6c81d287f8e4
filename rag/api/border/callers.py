"""Whom a route is for, as dependencies: a route that takes one of these says so in its signature.

Each names what a credential must be good for, which an API key is only where its scopes say so;
what may be read or managed with it is then the store's to say.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends

from rag.api.backing import caller_of
from rag.api.border.auth import Caller, Right, for_rights, for_role
from rag.store import Role

Anyone = Annotated[Caller, Depends(caller_of)]
"""Whoever has shown a credential."""


def _good_for(*rights: Right, role: Role | None = None) -> Callable[[Caller], Caller]:
    """A dependency: whose credential may be used for one of these, and who has the role."""

    def check(caller: Anyone) -> Caller:
        for_rights(caller, *rights)
        if role is not None:
            for_role(caller, role)
        return caller

    return check


Reader = Annotated[Caller, Depends(_good_for("search", "query"))]
"""Who opens what was found or cited."""
Searcher = Annotated[Caller, Depends(_good_for("search"))]
"""Who searches."""
Asker = Annotated[Caller, Depends(_good_for("query"))]
"""Who asks questions, and keeps conversations."""
Feeder = Annotated[Caller, Depends(_good_for("ingest"))]
"""Who brings documents in or takes them out; the store asks for `manage` on the collection."""
Holder = Annotated[Caller, Depends(_good_for("admin"))]
"""Who looks after an account: its sessions, its keys. Whose, the route says."""
Admin = Annotated[Caller, Depends(_good_for("admin", role="admin"))]
"""Who administers people, grants and keys. That alone opens no document."""
Steward = Annotated[Caller, Depends(_good_for("admin"))]
"""Who says who may read a collection; the store asks for the role `admin` or `manage` on it."""
Auditor = Annotated[Caller, Depends(_good_for("admin", role="auditor"))]
"""Who reads the audit records. That alone opens no document."""
