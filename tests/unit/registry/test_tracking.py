"""Tracking into a real MLflow over SQLite that goes away and comes back: a table is renamed for as long."""

import logging
import math
import sqlite3
from contextlib import closing, contextmanager

import pytest

from maas.errors import RegistryError
from maas.registry.mlflow_registry import MlflowRegistry
from maas.registry.tracking import tracker as tracking
from maas.registry.tracking.experiment import TrackedExperiment


@pytest.fixture
def away(place):
    """Takes a table from MLflow while a block runs."""

    @contextmanager
    def without(table: str):
        def renamed(old: str, new: str) -> None:
            with closing(sqlite3.connect(place / "mlflow.db")) as database:
                database.execute(f"ALTER TABLE {old} RENAME TO {new}")

        renamed(table, f"{table}_away")
        yield
        renamed(f"{table}_away", table)

    return without


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.INFO, "maas")
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def history(tracker, key="loss") -> list[tuple[int, float]]:
    return [(one.step, one.value) for one in tracker.client.get_metric_history(tracker.run_id, key)]


def test_every_epoch_is_there_with_one_warning_when_mlflow_was_away_for_some(store, away, warnings, tmp_path):
    unsent = tmp_path / "unsent"
    tracker = store.start_run("run", {}, {}, unsent)
    tracker.log_epoch(0, {"loss": 1.0})
    with away("metrics"):
        for epoch in (1, 2, 3):
            tracker.log_epoch(epoch, {"loss": 1 / (epoch + 1)})
        assert len(warnings()) == 1
        assert warnings()[0].startswith(
            f"MLflow run {tracker.run_id} cannot be logged to, and work continues. What MLflow does not take is kept "
            f"in {unsent} and logged once it does, by the run's next stage at the latest. The registry refused: "
        )
        assert "\n" not in warnings()[0]
    tracker.log_epoch(4, {"loss": 0.2})  # within a minute of the failure MLflow is not asked again
    assert history(tracker) == [(0, 1.0)]
    tracker.finish()
    assert history(tracker) == [(0, 1.0), (1, 1 / 2), (2, 1 / 3), (3, 1 / 4), (4, 0.2)]
    assert tracker.client.get_run(tracker.run_id).info.status == "FINISHED"
    assert len(warnings()) == 1
    assert not unsent.exists()


def test_epochs_are_logged_in_the_stage_itself_when_mlflow_answers_after_a_while(store, away, monkeypatch, tmp_path):
    monkeypatch.setattr(tracking, "AGAIN_S", 0.0)
    monkeypatch.setattr(tracking, "PATIENCE", 0.0)
    tracker = store.start_run("run", {}, {}, tmp_path / "unsent")
    with away("metrics"):
        tracker.log_epoch(0, {"loss": 1.0})
    tracker.log_epoch(1, {"loss": 0.5})
    assert history(tracker) == [(0, 1.0), (1, 0.5)]


def test_values_and_files_reach_mlflow_in_the_next_stage_when_the_first_ended_without_it(store, away, tmp_path):
    unsent, picture = tmp_path / "unsent", tmp_path / "curve.png"
    picture.write_bytes(b"a picture")
    first = store.start_run("run", {}, {}, unsent)
    with away("metrics"):
        first.log_epoch(0, {"loss": math.nan, "accuracy": 0.5})
        first.log_files(picture, "plots")
        first.settle()
    picture.unlink()
    with (unsent / "values.jsonl").open("a") as file:
        file.write('["loss", 0.')  # a process was killed as it wrote
    second = store.resume_run(first.run_id, unsent)
    second.log_values({"test_accuracy": 0.75})
    assert history(second, "accuracy") == [(0, 0.5)]
    assert math.isnan(history(second)[0][1])
    assert history(second, "test_accuracy") == [(0, 0.75)]
    (name,) = [file.path for file in second.client.list_artifacts(second.run_id, "plots")]
    assert name == "plots/curve.png"
    assert not unsent.exists()


def test_values_are_single_when_they_are_sent_twice(store, away, tmp_path):
    """A process that was killed between sending and forgetting leaves what was sent."""
    unsent = tmp_path / "unsent"
    tracker = store.start_run("run", {}, {}, unsent)
    with away("metrics"):
        tracker.log_epoch(3, {"loss": 0.25})
    kept = (unsent / "values.jsonl").read_bytes()
    tracker.settle()
    unsent.mkdir()
    (unsent / "values.jsonl").write_bytes(kept)
    tracker.settle()
    assert history(tracker) == [(3, 0.25)]


def test_work_says_that_values_are_lost_when_there_is_no_place_for_them(store, away, warnings):
    tracker = store.start_run("run", {}, {})
    with away("metrics"):
        tracker.log_epoch(0, {"loss": 1.0})
        tracker.log_epoch(1, {"loss": 1.0})
    assert [message.partition(". The registry")[0] for message in warnings()] == [
        f"MLflow run {tracker.run_id} cannot be logged to, and work continues. What MLflow does not take is lost"
    ]


@pytest.mark.parametrize("error", [ValueError("of the work itself"), KeyboardInterrupt()])
def test_own_error_is_raised_when_mlflow_is_away_as_it_is_on_its_way(store, away, warnings, tmp_path, error):
    tracker = store.start_run("run", {}, {}, tmp_path / "unsent")
    with away("runs"), pytest.raises(type(error)) as caught, tracker.marked():
        raise error
    assert caught.value is error
    assert len(warnings()) == 1


@pytest.mark.parametrize(("error", "status"), [(ValueError(), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_run_is_marked_when_work_ends_badly(store, error, status):
    tracker = store.start_run("run", {}, {})
    with pytest.raises(type(error)), tracker.marked():
        raise error
    assert tracker.client.get_run(tracker.run_id).info.status == status


def test_upload_fails_when_mlflow_is_away_and_files_must_be_there(store, tmp_path):
    tracker = store.start_run("run", {}, {}, tmp_path / "unsent")
    with pytest.raises(RegistryError, match="The registry refused: "):
        tracker.upload(tmp_path / "absent", "bundle")


def test_run_in_the_trash_is_refused_with_the_command_when_it_is_resumed(store):
    tracker = store.start_run("run", {}, {})
    tracker.client.delete_run(tracker.run_id)
    for use in (store.resume_run, store.check):
        with pytest.raises(RegistryError) as caught:
            use(tracker.run_id)
        assert str(caught.value) == (
            f"The MLflow run {tracker.run_id} is in the trash of {store.tracking_uri}. Restore it: MLFLOW_TRACKING_URI="
            f"{store.tracking_uri} mlflow runs restore --run-id {tracker.run_id}; or start a new one by resume=never."
        )
    tracker.client.restore_run(tracker.run_id)
    assert store.resume_run(tracker.run_id) is not None


def test_experiment_in_the_trash_is_refused_with_the_command_when_a_run_starts(store, place):
    other = MlflowRegistry(store.tracking_uri, store.artifacts, experiment="thrown away")
    tracker = other.start_run("run", {}, {})
    id_ = tracker.client.get_experiment_by_name("thrown away").experiment_id
    tracker.client.delete_experiment(id_)
    for use in (other.check, lambda: other.start_run("run", {}, {})):
        with pytest.raises(RegistryError) as caught:
            use()
        assert str(caught.value) == (
            f"The experiment thrown away is in the trash of {store.tracking_uri}. Restore it: MLFLOW_TRACKING_URI="
            f"{store.tracking_uri} mlflow experiments restore --experiment-id {id_}; or name another by "
            "registry.experiment=NAME."
        )


def test_experiment_is_the_others_when_another_first_run_was_quicker(store, monkeypatch):
    """Both look, both find nothing, and one makes it before the other does."""
    racing = MlflowRegistry(store.tracking_uri, store.artifacts, experiment="raced for")
    looked = TrackedExperiment._found
    answers = [None]
    monkeypatch.setattr(
        TrackedExperiment, "_found", lambda self, client: answers.pop() if answers else looked(self, client)
    )
    first = MlflowRegistry(store.tracking_uri, store.artifacts, experiment="raced for")
    client = first.start_run("first", {}, {}).client
    answers.append(None)
    second = racing.start_run("second", {}, {})
    experiment = client.get_experiment_by_name("raced for")
    assert client.get_run(second.run_id).info.experiment_id == experiment.experiment_id


def test_artifacts_are_refused_before_work_when_their_folder_cannot_be_made(place, tmp_path):
    (tmp_path / "artifacts").write_text("in the way")
    store = MlflowRegistry(f"sqlite:///{place / 'mlflow.db'}", str(tmp_path / "artifacts"), experiment="kept in a file")
    for use in (store.check, lambda: store.start_run("run", {}, {})):
        with pytest.raises(RegistryError, match=r"^.*artifacts.* cannot be written: .*registry\.artifacts"):
            use()
