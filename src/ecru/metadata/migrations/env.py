"""How Alembic runs here: on the connection it is given, inside the transaction that is open on it.

The one who commits also holds the lock that keeps other processes and machines away; see ``ecru.metadata.schema``.
"""

from alembic import context

from ecru.metadata import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    user_module_prefix="types.",
)
context.run_migrations()
