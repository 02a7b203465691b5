"""Looking at a database before MLflow does: MLflow repeats for minutes what cannot succeed."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from mlflow import MlflowClient
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from maas.errors import RegistryError
from maas.files import draft_of

SQLITE = "sqlite"
REPLY_S = 15
"""Seconds that a database server may take to answer at first."""


def is_database(tracking_uri: str) -> bool:
    """Whether MLflow opens a database itself, with no server between."""
    return tracking_uri.partition(":")[0].partition("+")[0] in (SQLITE, "postgresql", "mysql", "mssql")


def is_sqlite(tracking_uri: str) -> bool:
    """Whether the store is a SQLite file, or one in memory."""
    return tracking_uri.partition(":")[0].partition("+")[0] == SQLITE


def sqlite_file(tracking_uri: str) -> Path | None:
    """Returns the file of a SQLite database; None where it lies in memory or is named by a URI of SQLite's own."""
    database = make_url(tracking_uri).database
    return None if not database or database == ":memory:" or database.startswith("file:") else Path(database)


def make_sqlite(path: Path) -> None:
    """Lets MLflow lay out a new database beside its place, then links it into place unless another was quicker.

    Raises:
        OSError: the folder cannot be made or written.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_of(path)
    draft.touch()  # fails at once where MLflow would try for minutes
    try:
        address = f"sqlite:///{draft}"
        client = MlflowClient(tracking_uri=address, registry_uri=address)
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def require_sqlite(tracking_uri: str, *, writable: bool) -> None:
    """Opens a SQLite database for a moment, and changes nothing in it.

    Args:
        tracking_uri: of a file that exists; one in memory is always there.
        writable: also require that it can be written.

    Raises:
        RegistryError: it cannot be opened or is no database, or it cannot be written.
    """
    if make_url(tracking_uri).database in (None, "", ":memory:"):
        return
    try:
        with closing(_sqlite(tracking_uri)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if writable:
                _require_writable(connection, tracking_uri)
    except sqlite3.DatabaseError as error:
        if not _is_busy(error):
            raise RegistryError(f"The registry {tracking_uri} cannot be reached: {error}.") from error


def require_answering(tracking_uri: str) -> bool:
    """Connects to a database server once.

    Returns:
        Whether MLflow's tables are still to be made, or are being made.

    Raises:
        RegistryError: it does not answer, or its driver is not installed.
    """
    try:
        limit = {"connect_timeout": REPLY_S} if tracking_uri.startswith(("postgresql", "mysql")) else {}
        engine = create_engine(tracking_uri, connect_args=limit)
        try:
            with engine.connect() as connection:
                if not inspect(connection).has_table("alembic_version"):
                    return True
                return connection.execute(text("SELECT version_num FROM alembic_version")).first() is None
        finally:
            engine.dispose()
    except ModuleNotFoundError as error:
        raise RegistryError(
            f"The registry {tracking_uri} needs {error.name}, which is not installed. Install it with pip."
        ) from error
    except SQLAlchemyError as error:
        said = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise RegistryError(f"The registry {tracking_uri} cannot be reached: {said}.") from error


def require_folder(folder: Path, setting: str) -> None:
    """Raises RegistryError where files cannot be written to a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RegistryError(
            f"{folder} cannot be written: {error.strerror or error}. It takes the files of runs and versions; name "
            f"another folder by {setting}."
        ) from error


def _sqlite(tracking_uri: str) -> sqlite3.Connection:
    address = make_url(tracking_uri)
    database, query = str(address.database), _query(address.query)
    if not database.startswith("file:"):
        database, query = f"file:{quote(database)}", "mode=rw"
    return sqlite3.connect(f"{database}?{query}", uri=True, timeout=1.0, isolation_level=None)


def _query(query: Mapping[str, object]) -> str:
    return urlencode({key: str(value) for key, value in query.items() if key in ("mode", "immutable", "cache", "vfs")})


def _require_writable(connection: sqlite3.Connection, tracking_uri: str) -> None:
    """Begins to make a table and takes it back: SQLite opens its journal, in the same folder, at the first change."""
    with _undone(connection):
        try:
            connection.execute("CREATE TABLE maas_can_write (x)")
        except sqlite3.OperationalError as error:
            if _is_busy(error):
                return
            raise RegistryError(
                f"The registry {tracking_uri} cannot be written: {error}. Make file and folder writable, or name "
                "another by registry.tracking_uri=sqlite:///PATH or MLFLOW_TRACKING_URI."
            ) from error


@contextmanager
def _undone(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:  # some errors end it
            connection.execute("ROLLBACK")


def _is_busy(error: sqlite3.Error) -> bool:
    """Whether another process is writing at this moment: the database can be written, only not just now."""
    return str(getattr(error, "sqlite_errorname", "")).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
