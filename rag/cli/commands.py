"""All the commands: each module adds its own to the app."""

from rag.cli import (  # noqa: F401  each adds its own
    ask,
    audit,
    blocked,
    collections,
    engine,
    eval,
    forget,
    house,
    ingest,
    keys,
    models,
    people,
    quarantine,
    sign_in,
)
from rag.cli.app import app, run

__all__ = ["app", "run"]
