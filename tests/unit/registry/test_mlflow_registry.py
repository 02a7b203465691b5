"""Versions in a real MLflow over one SQLite file."""

import msgspec
import numpy as np
import pandas as pd
import pytest

from maas.errors import InputError, RegistryError
from maas.exporting.bundling import attach_evidence
from maas.records.evidence import EVIDENCE_VERSION, DataRecord, Evidence, Interval, Machine
from maas.registry.catalogue.versions import ModelVersion, resolve
from maas.registry.connection import connected
from maas.registry.mlflow_registry import MlflowRegistry
from maas.registry.promotion import Comparison
from maas.registry.reading.addresses import default_tracking_uri
from maas.runtime.bundle import Bundle


@pytest.fixture
def bundle(bundles, tmp_path, request):
    """Makes bundles of one model with a given accuracy on given rows."""
    name = request.node.name.replace("[", "_").replace("]", "")[-60:]

    def make(accuracy: float, fingerprint: str = "rows") -> Bundle:
        folder = bundles.array_bundle(tmp_path / f"bundle_{len(list(tmp_path.iterdir()))}", width=4)
        manifest = msgspec.json.decode((folder / "manifest.json").read_bytes())
        (folder / "manifest.json").write_bytes(msgspec.json.encode({**manifest, "name": name}))
        made = Bundle.open(folder)
        evidence = Evidence(
            EVIDENCE_VERSION,
            made.digest,
            "2026-01-01T00:00:00+00:00",
            Machine("cpu", 2, 1, "Linux", "3.11", "1"),
            DataRecord(fingerprint, {"test": 10}, {}),
            {"shipped": {"accuracy": Interval(accuracy, 0, 1)}},
            (),
            None,
            {},
            ((5, 0), (0, 5)),
        )
        attach_evidence(made, evidence)
        return made

    return make


def by_evidence(new: Bundle, old: Bundle) -> Comparison:
    """Compares as if each bundle were right on its evidence's share of rows, without any doubt."""
    values = [one.evidence.metrics["shipped"]["accuracy"].value for one in (new, old)]
    gain = round(100 * (values[0] - values[1]), 6)
    return Comparison("accuracy", *values, gain=Interval(gain, gain, gain))


def registered(store: MlflowRegistry, bundle: Bundle) -> ModelVersion:
    return store.register(bundle, store.start_run("run", {"maas.seed": "0"}, {"a.b": 1}), "accuracy", by_evidence)


def test_first_version_becomes_champion_when_nothing_stands_against_it(store, bundle):
    version = registered(store, bundle(0.9))
    assert (version.version, version.aliases) == ("1", ("champion",))
    assert version.uri == f"models:/{version.name}@champion"
    assert version.note == "champion points here: there is no other version to compare with"


def test_version_is_found_again_when_the_same_bundle_and_run_register_twice(store, bundle):
    made, tracker = bundle(0.9), store.start_run("run", {}, {})
    first, second = (store.register(made, tracker, "accuracy", by_evidence) for _ in range(2))
    assert (first.version, second.version) == ("1", "1")
    assert second.aliases == ("champion",)
    assert second.note == "champion points here: it does already"
    assert len(tracker.client.search_model_versions(f"name = '{first.name}'")) == 1


@pytest.mark.parametrize(("accuracy", "moves"), [(0.95, True), (0.9, True), (0.8999, False)])
def test_champion_moves_only_when_the_new_version_is_not_worse(store, bundle, accuracy, moves):
    old = registered(store, bundle(0.9))
    new = registered(store, bundle(accuracy))
    assert new.aliases == (("champion",) if moves else ())
    gain = 100 * accuracy - 90
    change = f"{gain:+.2f} percentage points [{gain:+.2f}, {gain:+.2f}]"
    told = f"accuracy {accuracy:.4f} against 0.9000 of version 1, {change}"
    assert new.note == (f"champion points here: {told}" if moves else f"champion stays where it is: {told}")
    _, champion = resolve(f"models:/{old.name}@champion", store.tracking_uri)
    assert champion.version == ("2" if moves else "1")
    assert new.uri == f"models:/{new.name}@champion" if moves else f"models:/{new.name}/2"


def test_older_equal_run_leaves_the_alias_when_it_is_registered_again(store, bundle):
    older, tracker = bundle(0.9), store.start_run("run", {}, {})
    store.register(older, tracker, "accuracy", by_evidence)
    assert registered(store, bundle(0.9)).aliases == ("champion",)
    again = store.register(older, tracker, "accuracy", by_evidence)
    assert (again.version, again.aliases) == ("1", ())
    assert again.note == (
        "champion stays where it is: accuracy 0.9000 against 0.9000 of version 2, +0.00 "
        "percentage points [+0.00, +0.00], and version 2 is newer"
    )


def test_champion_is_compared_again_when_another_run_moves_the_alias_meanwhile(store, bundle):
    best = bundle(0.99)

    def overtaken(new: Bundle, old: Bundle) -> Comparison:
        if old.evidence.metrics["shipped"]["accuracy"].value == 0.5:
            registered(store, best)
        return by_evidence(new, old)

    registered(store, bundle(0.5))
    new = store.register(bundle(0.9), store.start_run("run", {}, {}), "accuracy", overtaken)
    assert new.aliases == ()
    assert new.note.startswith("champion stays where it is: accuracy 0.9000 against 0.9900 of version 3")


def test_champion_stays_with_the_reason_when_the_old_version_cannot_answer(store, bundle):
    def refuse(new: Bundle, old: Bundle) -> Comparison:
        raise InputError("Row 0 has shape [5]; the model takes [4].")

    registered(store, bundle(0.5))
    new = store.register(bundle(0.9), store.start_run("run", {}, {}), "accuracy", refuse)
    assert new.note == (
        "champion stays where it is: version 1 cannot be compared: Row 0 has shape [5]; the model takes [4]; "
        "to move it all the same set registry.promote=always"
    )


def test_newer_version_is_champion_when_there_is_no_metric_to_compare_by(store, bundle):
    older, tracker = bundle(0.9), store.start_run("run", {}, {})
    store.register(older, tracker, None)
    newer = store.register(bundle(0.1), store.start_run("run", {}, {}), None)
    assert newer.aliases == ("champion",)
    assert store.register(older, tracker, None).aliases == ()


def test_champion_stays_when_the_new_version_was_measured_on_other_rows(store, bundle):
    registered(store, bundle(0.5))
    new = registered(store, bundle(0.99, "other rows"))
    assert new.aliases == ()
    assert new.note == (
        "champion stays where it is: version 1 was measured on other rows; "
        "to move it all the same set registry.promote=always"
    )


@pytest.mark.parametrize(("promote", "moves"), [("always", True), ("never", False)])
def test_alias_does_as_it_is_told_when_promotion_is_always_or_never(store, bundle, promote, moves):
    registered(store, bundle(0.9))
    other = MlflowRegistry(store.tracking_uri, store.artifacts, promote=promote)
    new = registered(other, bundle(0.1))
    assert new.aliases == (("champion",) if moves else ())
    assert new.note == f"champion {'points here' if moves else 'stays where it is'}: promote is {promote}"


def test_bundle_answers_when_its_version_is_resolved_by_alias_or_number(store, bundle):
    made = bundle(0.9)
    version = registered(store, made)
    for address in (version.uri, f"models:/{version.name}/1"):
        folder, found = resolve(address, store.tracking_uri)
        assert found.version == "1"
        opened = Bundle.open(folder)
        assert opened.digest == made.digest
        assert opened.evidence == made.evidence
        assert opened.check_golden() == 0


@pytest.mark.parametrize(
    "address", ["models:/", "models:/m", "models:/m@", "models:/m/latest", "models:/a/b@c", "runs:/x/y"]
)
def test_address_is_refused_with_the_right_form_when_it_is_malformed(store, address):
    with pytest.raises(RegistryError) as caught:
        resolve(address, store.tracking_uri)
    assert str(caught.value) == (
        f"{address!r} is no address of a model; write models:/NAME@ALIAS or models:/NAME/VERSION."
    )


def test_models_are_listed_when_a_version_or_alias_is_not_there(store, bundle):
    name = registered(store, bundle(0.9)).name
    for address in ("models:/absent@champion", f"models:/{name}@absent", f"models:/{name}/9"):
        with pytest.raises(RegistryError) as caught:
            resolve(address, store.tracking_uri)
        assert str(caught.value).startswith(f"{address} is not in {store.tracking_uri}: ")
        assert name in str(caught.value).rpartition("Models there: ")[2]


def test_tracking_uri_is_the_environments_when_it_names_one(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert default_tracking_uri() == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    assert default_tracking_uri() == "http://server"


def test_run_keeps_parameters_epochs_and_tags_when_it_is_tracked(store):
    tracker = store.start_run("name", {"maas.seed": "3"}, {f"key.{index}": "v" * 7000 for index in range(120)})
    for epoch in range(3):
        tracker.log_epoch(epoch, {"loss": 1 / (epoch + 1)})
    tracker.finish()
    run = store.resume_run(tracker.run_id).client.get_run(tracker.run_id)
    assert run.data.tags["maas.seed"] == "3"
    assert len(run.data.params) == 120
    assert len(run.data.params["key.0"]) == 6000
    assert [one.value for one in tracker.client.get_metric_history(tracker.run_id, "loss")] == [1, 1 / 2, 1 / 3]
    assert run.info.status == "FINISHED"


def test_credentials_of_addresses_stay_out_of_a_run_when_it_is_tracked(store):
    tags = {"maas.overrides": "['registry.tracking_uri=http://user:secret@host']"}
    tracker = store.start_run("name", tags, {"registry.tracking_uri": "postgresql://user:secret@host/mlflow"})
    kept = tracker.client.get_run(tracker.run_id).data
    assert kept.params["registry.tracking_uri"] == "postgresql://user:***@host/mlflow"
    assert kept.tags["maas.overrides"] == "['registry.tracking_uri=http://user:***@host']"


def test_unknown_run_is_none_when_it_is_resumed(store):
    assert store.resume_run("0123456789abcdef0123456789abcdef") is None


@pytest.mark.parametrize("damage", ["garbage", "blocked"])
def test_registry_is_named_when_it_cannot_be_reached(tmp_path, damage):
    (tmp_path / "file").write_bytes(b"this is no database " * 100)
    uri = f"sqlite:///{tmp_path / 'file'}" + ("/mlflow.db" if damage == "blocked" else "")
    with pytest.raises(RegistryError) as caught:
        connected(uri)
    assert str(caught.value).startswith(f"The registry {uri} cannot be reached: ")


def test_no_draft_is_left_when_the_database_was_made(store, place):
    connected(store.tracking_uri)
    assert not list(place.glob("*.partial"))


def test_bundle_is_an_mlflow_model_when_mlflow_opens_it(line, token_model, text_processor, lineage, tmp_path):
    import mlflow.pyfunc

    from maas.exporting.bundling import build_bundle
    from maas.records.manifest import ServingSettings
    from maas.runtime.postprocessors import load_postprocessor

    rows = np.array(line.bundle.golden.inputs[:3], dtype=np.float32)
    found = mlflow.pyfunc.load_model(str(line.bundle.folder)).predict(rows)
    assert found["label"].tolist() == [answer["label"] for answer in line.bundle.golden.predictions[:3]]
    folder = tmp_path / "bundle"
    folder.mkdir()
    texts = build_bundle(
        folder,
        model=token_model,
        name="small",
        task="text-classification",
        precision="fp32",
        processor=text_processor,
        postprocessor=load_postprocessor({"kind": "classification", "labels": ["negative", "positive"]}),
        serving=ServingSettings(),
        lineage=lineage,
        golden_rows=["bad", "很好"],
    )
    found = mlflow.pyfunc.load_model(str(folder)).predict(pd.DataFrame({"text": ["bad", "很好"]}))
    assert found.to_dict("records") == texts.predict(["bad", "很好"])
