"""Citadel's API from Python: typed records, answers as they arrive, failures in words.

    from rag.client import Asked, Client

    with Client("https://citadel.example", key="ck_…") as citadel:
        for event in citadel.ask(Asked("How long is parental leave?")):
            ...
        for document in citadel.documents.every():
            ...

It knows HTTP and nothing of the server's code, and is what the web page itself uses. Each subject
of the API (`citadel.documents`, `citadel.people`, …) has a module beside this one, with records.
"""

from rag.client.client import Client
from rag.client.records import Asked, Event, Final
from rag.client.transport import SESSION_COOKIE, Line, Problem

__all__ = ["SESSION_COOKIE", "Asked", "Client", "Event", "Final", "Line", "Problem"]
