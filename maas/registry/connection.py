"""Reaching a tracking server or a local database; errors of theirs become one line of maas's own."""

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from maas.errors import MaasError, RegistryError
from maas.registry.databases import (
    is_database,
    is_sqlite,
    make_sqlite,
    require_answering,
    require_sqlite,
    sqlite_file,
)

TAKEN = "RESOURCE_ALREADY_EXISTS"
"""Code of MLflow's error that says that another was quicker."""
UNREACHABLE = (MlflowException, SQLAlchemyError, OSError, ImportError, ValueError)
"""What MLflow raises of a store that it cannot open: its own, its database's, the network's (requests raises OSError),
of a driver that is not installed, of an address that cannot be read."""
LAYING_OUT_S = 120.0
"""How long another process may take to make MLflow's tables in an empty database."""

log = logging.getLogger("maas")
logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow").setLevel(logging.WARNING)
for reported_by_us in ("mlflow.store.db", "urllib3.connectionpool"):  # each failure is one line, without traceback
    logging.getLogger(reported_by_us).setLevel(logging.CRITICAL)


def connected(tracking_uri: str, *, writing: bool = True) -> MlflowClient:
    """Connects; what cannot succeed is refused at once.

    Args:
        tracking_uri: address of a server or a database.
        writing: a local database that is not there yet is made, whole or not at all, and must be writable; without it
            nothing is made or changed.

    Raises:
        RegistryError: the store cannot be reached, or not written.
    """
    warnings.filterwarnings("ignore", category=FutureWarning, module="mlflow")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    try:
        patience_s = _looked_at(tracking_uri, writing=writing)
        return _answering(tracking_uri, patience_s)
    except UNREACHABLE as error:
        raise RegistryError(f"The registry {tracking_uri} cannot be reached: {brief(error)}.") from error


@contextmanager
def registry_errors() -> Iterator[None]:
    """Turns what MLflow and the many libraries below it raise into a RegistryError of one line."""
    try:
        yield
    except MaasError:
        raise
    except Exception as error:  # the clients of object stores raise their own; they have no common base
        raise RegistryError(f"The registry refused: {brief(error)}.") from error


def brief(error: BaseException) -> str:
    """Returns an error's first line with a reason; SQLAlchemy's first one may be how it came to the database."""
    lines = [line for line in str(error).splitlines() if not line.startswith("(raised as a result of")]
    return (lines or [type(error).__name__])[0].rstrip(".")


def _looked_at(tracking_uri: str, *, writing: bool) -> float:
    """Looks at a database before MLflow does; returns for how long MLflow may fail because others make its tables."""
    if is_sqlite(tracking_uri):
        path = sqlite_file(tracking_uri)
        if writing and path is not None:
            make_sqlite(path)
        if path is None or path.exists():
            require_sqlite(tracking_uri, writable=writing)
            return 0.0
        raise FileNotFoundError(f"there is no file {path}")
    return LAYING_OUT_S if is_database(tracking_uri) and require_answering(tracking_uri) else 0.0


def _answering(tracking_uri: str, patience_s: float) -> MlflowClient:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
            client.search_experiments(max_results=1)
        except (MlflowException, SQLAlchemyError):  # of two that make the same tables, the database lets one fail
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.5)
        else:
            return client
