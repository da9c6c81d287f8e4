"""Whom a route is for, as dependencies: a route that takes one of these says so in its signature.

Each names what a credential must be good for, which an API key is only where its scopes say so;
what may be read or managed with it is then the store's to say.
"""

from typing import Annotated

from fastapi import Depends

from rag.api.auth import Caller, for_rights, for_role
from rag.api.backing import caller_of

Anyone = Annotated[Caller, Depends(caller_of)]
"""Whoever has shown a credential."""


def _reader(caller: Anyone) -> Caller:
    for_rights(caller, "search", "query")
    return caller


def _searcher(caller: Anyone) -> Caller:
    for_rights(caller, "search")
    return caller


def _asker(caller: Anyone) -> Caller:
    for_rights(caller, "query")
    return caller


def _feeder(caller: Anyone) -> Caller:
    for_rights(caller, "ingest")
    return caller


def _holder(caller: Anyone) -> Caller:
    for_rights(caller, "admin")
    return caller


def _admin(caller: Anyone) -> Caller:
    for_rights(caller, "admin")
    for_role(caller, "admin")
    return caller


def _steward(caller: Anyone) -> Caller:
    for_rights(caller, "admin")
    return caller


def _auditor(caller: Anyone) -> Caller:
    for_rights(caller, "admin")
    for_role(caller, "auditor")
    return caller


Reader = Annotated[Caller, Depends(_reader)]
"""Who opens what was found or cited."""
Searcher = Annotated[Caller, Depends(_searcher)]
"""Who searches."""
Asker = Annotated[Caller, Depends(_asker)]
"""Who asks questions, and keeps conversations."""
Feeder = Annotated[Caller, Depends(_feeder)]
"""Who brings documents in or takes them out; the store asks for `manage` on the collection."""
Holder = Annotated[Caller, Depends(_holder)]
"""Who looks after an account: its sessions, its keys. Whose, the route says."""
Admin = Annotated[Caller, Depends(_admin)]
"""Who administers people, grants and keys. That alone opens no document."""
Steward = Annotated[Caller, Depends(_steward)]
"""Who says who may read a collection; the store asks for the role `admin` or `manage` on it."""
Auditor = Annotated[Caller, Depends(_auditor)]
"""Who reads the audit records. That alone opens no document."""
