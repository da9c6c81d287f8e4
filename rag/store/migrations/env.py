"""Run by Alembic, with the connection and the transaction that `rag.store.migrate` hands it."""

from alembic import context

from rag.store.tables import metadata

connection = context.config.attributes["connection"]
# SQLite changes most of a table only by copying it, which batch mode does.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
