"""What cannot succeed is refused at once; MLflow itself would try a hundred seconds."""

import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

from maas.errors import RegistryError
from maas.registry.connection import connected
from maas.registry.databases import require_sqlite
from maas.registry.mlflow_registry import MlflowRegistry


@pytest.fixture
def database(place):
    return place / "mlflow.db"


@pytest.fixture
def immutable():
    """Makes files and folders immutable, which holds for root too."""
    made = []

    def make(path) -> None:
        if subprocess.run(["chattr", "+i", str(path)], check=False, capture_output=True).returncode:
            pytest.skip("chattr has no effect here")
        made.append(path)

    yield make
    for path in made:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def names(uri: str, *, writing: bool = True) -> list[str]:
    """Returns the registered models of a store, which other tests share."""
    return [one.name for one in connected(uri, writing=writing).search_registered_models()]


def refused(uri: str, *, writing: bool = True) -> str:
    started = time.monotonic()
    with pytest.raises(RegistryError) as caught:
        connected(uri, writing=writing)
    assert time.monotonic() - started < 60  # MLflow's ten tries take a hundred seconds
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_writing_is_refused_in_one_line_when_the_database_is_open_for_reading_alone(database):
    uri = f"sqlite:///file:{database}?mode=ro&uri=true"
    assert refused(uri) == (
        f"The registry {uri} cannot be written: attempt to write a readonly database. Make file and folder writable, "
        "or name another by registry.tracking_uri=sqlite:///PATH or MLFLOW_TRACKING_URI."
    )
    assert names(uri, writing=False) == names(f"sqlite:///{database}")


@pytest.mark.parametrize("what", ["file", "folder"])
def test_writing_is_refused_when_the_file_or_its_folder_cannot_be_written(tmp_path, database, immutable, what):
    """In the folder SQLite keeps its journal."""
    folder = tmp_path / "folder"
    folder.mkdir()
    copy = folder / "mlflow.db"
    copy.write_bytes(database.read_bytes())
    immutable(copy if what == "file" else folder)
    assert refused(f"sqlite:///{copy}").startswith(f"The registry sqlite:///{copy} cannot be written: ")
    assert names(f"sqlite:///{copy}", writing=False) == names(f"sqlite:///{database}")


def test_new_database_is_refused_when_its_folder_lies_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be reached: " in refused(f"sqlite:///{tmp_path / 'file' / 'folder' / 'mlflow.db'}")


def test_new_database_is_refused_when_its_folder_is_immutable(tmp_path, immutable):
    folder = tmp_path / "folder"
    folder.mkdir()
    immutable(folder)
    assert "cannot be reached: " in refused(f"sqlite:///{folder / 'mlflow.db'}")


def test_database_may_be_written_when_another_process_writes_just_now(database):
    before = names(f"sqlite:///{database}")
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert names(f"sqlite:///{database}") == before
        other.execute("ROLLBACK")


def test_nothing_is_changed_when_a_database_is_looked_at(database):
    def tables() -> list[str]:
        with closing(sqlite3.connect(database)) as one:
            return [name for (name,) in one.execute("SELECT name FROM sqlite_master ORDER BY name")]

    before = tables()
    MlflowRegistry(f"sqlite:///{database}", str(database.parent / "mlartifacts")).check()
    assert tables() == before
    assert [path.name for path in database.parent.iterdir() if path.is_file()] == ["mlflow.db"]


def test_nothing_is_made_when_a_database_is_read_that_is_not_there(tmp_path):
    uri = f"sqlite:///{tmp_path / 'folder' / 'mlflow.db'}"
    assert refused(uri, writing=False).startswith(f"The registry {uri} cannot be reached: there is no file ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:"])
def test_database_in_memory_is_let_through_when_it_is_looked_at(uri):
    require_sqlite(uri, writable=True)


def test_database_server_is_refused_at_once_when_it_is_not_there():
    message = refused("postgresql://user:secret@127.0.0.1:1/mlflow")
    assert message.startswith("The registry postgresql://user:***@127.0.0.1:1/mlflow ")
    assert "secret" not in message
