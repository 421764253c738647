"""Run by Alembic for every command; the connection comes from whoever opened the store.

`render_as_batch` because SQLite changes a column by copying its table.
"""

from __future__ import annotations

from alembic import context

from roboinvest.runtime.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
