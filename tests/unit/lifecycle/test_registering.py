"""Two bundles answer the recipe's test rows before an alias moves; no password of the registry is shown."""

import logging

import msgspec
import numpy as np
import pytest

import maas
from maas.data.splits import Split, Splits
from maas.errors import BundleError, DataError, RegistryError
from maas.exporting.bundling import attach_evidence
from maas.lifecycle.registering import comparing_on
from maas.records.evidence import EVIDENCE_VERSION, DataRecord, Evidence, Machine
from maas.runtime.bundle import Bundle

LABELS = ("0", "1", "2")


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(3)
    inputs = random.integers(0, 17, (300, 4)).tolist()
    test = Split(inputs, random.integers(0, 3, 300))
    return Splits(test, test, test, LABELS, DataRecord("these", {"test": 300}, {}))


@pytest.fixture
def bundle(bundles, tmp_path):
    def make(seed: int, labels: int = 3) -> Bundle:
        made = Bundle.open(bundles.array_bundle(tmp_path / f"{seed}-{labels}", width=4, labels=labels, seed=seed))
        machine = Machine("cpu", 2, 1, "Linux", "3.11", "1")
        data = DataRecord("these", {"test": 300}, {})
        attach_evidence(made, Evidence(EVIDENCE_VERSION, made.digest, "2026", machine, data, {}, (), None, {}))
        return made

    return make


def accuracy(bundle: Bundle, rows: Splits) -> float:
    """Computed from the answers of the bundle's own `predict`."""
    answers = [int(answer["label"]) for answer in bundle.predict(rows.test.inputs)]
    return float(np.mean(np.array(answers) == rows.test.targets))


def test_gain_is_the_difference_of_accuracies_when_two_bundles_answer_the_rows(bundle, rows):
    new, old = bundle(1), bundle(2)
    found = comparing_on("accuracy", lambda: rows)(new, old)
    assert (found.new, found.old) == (accuracy(new, rows), accuracy(old, rows))
    assert found.new != found.old
    assert found.gain.value == pytest.approx(100 * (found.new - found.old))
    assert found.gain.low < found.gain.value < found.gain.high


def test_rows_are_loaded_only_once_they_are_needed(bundle, rows):
    loaded = []
    compare = comparing_on("accuracy", lambda: loaded.append(1) or rows)
    assert not loaded
    same = bundle(1)
    assert compare(same, same).gain.value == 0
    assert loaded


def test_comparison_is_refused_when_the_recipe_has_other_rows(bundle, rows):
    other = msgspec.structs.replace(rows.record, fingerprint="others")
    splits = Splits(rows.train, rows.validation, rows.test, LABELS, other)
    with pytest.raises(DataError, match="not those that the bundle was measured on"):
        comparing_on("accuracy", lambda: splits)(bundle(1), bundle(2))


def test_comparison_is_refused_when_the_old_bundle_has_other_labels(bundle, rows):
    with pytest.raises(BundleError, match=r"the old one answers with classification of 0, 1, the new bundle with"):
        comparing_on("accuracy", lambda: rows)(bundle(1), bundle(2, labels=2))


def test_password_of_the_registry_is_hidden_when_its_address_is_logged_and_refused(line, caplog):
    caplog.set_level(logging.INFO, "maas")
    uri = "postgresql://user:secret@127.0.0.1:1/mlflow"
    config = maas.compose("digits_mlp", f"registry.tracking_uri={uri}", f"runs_dir={line.config.runs_dir}")
    with pytest.raises(RegistryError) as caught:
        maas.lifecycle.register(config, line.bundle)
    for text in (caplog.text, str(caught.value)):
        assert "postgresql://user:***@127.0.0.1:1/mlflow" in text
        assert "secret" not in text
