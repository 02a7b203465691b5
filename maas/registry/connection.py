"""Reaching a tracking server or a local database, and telling its errors in maas's own words."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from maas.errors import RegistryError

SQLITE = "sqlite:///"
ABSENT = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})
"""Codes of MLflow's errors that say that something is not there."""

logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow").setLevel(logging.WARNING)


def connected(tracking_uri: str) -> MlflowClient:
    """Connects; a local database that is not there yet is made, whole or not at all.

    Raises:
        RegistryError: the store cannot be reached.
    """
    warnings.filterwarnings("ignore", category=FutureWarning, module="mlflow")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    try:
        if tracking_uri.startswith(SQLITE):
            _make_database(Path(tracking_uri.removeprefix(SQLITE)))
        client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # SQLAlchemy, requests and mlflow raise their own
        raise RegistryError(f"The registry {tracking_uri} cannot be reached: {brief(error)}.") from error
    return client


@contextmanager
def registry_errors() -> Iterator[None]:
    """Turns what MLflow and the things below it raise into a RegistryError of one line."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, requests.RequestException, OSError) as error:
        raise RegistryError(f"The registry refused: {brief(error)}.") from error


def downloaded(source: str, tracking_uri: str) -> Path:
    """Returns a local folder with a version's files.

    Raises:
        RegistryError: they cannot be had.
    """
    with registry_errors():
        return Path(download_artifacts(artifact_uri=source, tracking_uri=tracking_uri))


def default_tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, or the local SQLite file that recipes use."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"


def brief(error: BaseException) -> str:
    """Returns an error's first line."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _make_database(path: Path) -> None:
    """Lets MLflow lay out a new database beside its place, then links it into place unless another was quicker."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.partial")
    client = MlflowClient(tracking_uri=f"{SQLITE}{draft}", registry_uri=f"{SQLITE}{draft}")
    client.search_experiments(max_results=1)
    client.search_registered_models(max_results=1)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
