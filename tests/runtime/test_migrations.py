"""Migrations: they come to the tables of the program, once, and never touch what is not theirs."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from roboinvest.core.errors import BadSettings, TryLater
from roboinvest.runtime import migrations
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.storage import schema, tables
from roboinvest.runtime.storage.reads import StoreReader
from roboinvest.runtime.store import Store
from tests.fakes.clocks import ManualClock
from tests.fakes.records import busy_commit

REPOSITORY = Path(__file__).resolve().parents[2]


async def opened(path: Path) -> Store:
    return await Store.open(path, in_flight=InFlight(), clock=ManualClock())


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    store = await opened(path)
    await store.commit_tick(busy_commit(0))
    await store.close()
    return path


def differences(path: Path, metadata: sa.MetaData) -> list[object]:
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, metadata)
    engine.dispose()
    return list(found)


def definitions(path: Path) -> dict[str, set[str]]:
    """Return each table and index, as the parts of its definition in any order."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    parts = {name: {part.strip(" ,\t") for part in sql.splitlines()} for name, sql in rows}
    connection.close()
    parts.pop("alembic_version", None)
    return parts


def test_the_migrations_come_to_the_tables_of_the_program(database: Path, tmp_path: Path) -> None:
    assert differences(database, tables.metadata) == []

    created = tmp_path / "created.db"
    engine = sa.create_engine(f"sqlite:///{created}")
    tables.metadata.create_all(engine)
    engine.dispose()
    assert definitions(database) == definitions(created)


def test_a_column_without_a_migration_would_be_noticed(database: Path) -> None:
    changed = sa.MetaData()
    for table in tables.metadata.sorted_tables:
        table.to_metadata(changed)
    changed.tables["ticks"].append_column(sa.Column("mood", sa.Text))
    assert differences(database, changed) != []


def test_the_program_knows_every_revision_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == schema.HEAD
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == schema.REVISIONS


OPEN_TWICE = """
import asyncio, sys
from pathlib import Path
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.store import Store

async def main():
    store = await Store.open(Path(sys.argv[1]), in_flight=InFlight(), clock=SystemClock())
    print((await store.totals()).ticks, "alembic" in sys.modules)
    await store.close()

asyncio.run(main())
"""


def test_opening_again_changes_nothing_and_does_not_load_alembic(database: Path) -> None:
    before = definitions(database)
    opened_again = subprocess.run(
        [sys.executable, "-c", OPEN_TWICE, str(database)],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    assert opened_again.stdout.split() == ["1", "False"]
    assert definitions(database) == before


def test_two_that_open_an_empty_folder_at_once_make_one_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def both() -> None:
        one, other = await asyncio.gather(opened(path), opened(path))
        await one.commit_tick(busy_commit(0))
        await other.commit_tick(busy_commit(1))
        assert (await one.totals()).ticks == 2
        await one.close()
        await other.close()

    asyncio.run(both())


async def test_a_database_of_a_newer_program_is_refused_untouched(database: Path) -> None:
    set_revision(database, "9999")
    before = definitions(database), database.read_bytes()
    with pytest.raises(BadSettings, match="revision 9999, this program knows up to 0001"):
        await opened(database)
    with pytest.raises(BadSettings, match="revision 9999"):
        await StoreReader.open_read_only(database, in_flight=InFlight())
    assert (definitions(database), database.read_bytes()) == before


async def test_a_database_that_is_not_ours_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(BadSettings, match="holds 1 tables and no revision"):
        await opened(path)
    assert set(definitions(path)) == {"recipes"}


async def test_an_empty_database_is_not_read_as_one_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch()
    with pytest.raises(BadSettings, match="revision none"):
        await StoreReader.open_read_only(path, in_flight=InFlight())


async def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        tables.metadata.tables["documents"].create(connection)  # in the way of the migration
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num TEXT)")
    engine.dispose()
    before = definitions(path)
    with pytest.raises(TryLater, match="documents already exists"):
        await opened(path)
    assert definitions(path) == before


def set_revision(path: Path, revision: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
