"""A kind of input of a user's own is one file outside of maas: everything that the line does works with it."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maas
from maas.errors import BundleError
from maas.explaining import explain
from maas.lifecycle.recipe import load_rows
from maas.runtime import kinds

MODULE = '''\
from collections import Counter

import numpy as np

import maas
from maas.errors import InputError
from maas.records.signature import TensorSpec
from maas.runtime.processors import Processor


@maas.register_kind
class DnaProcessor(Processor):
    """Counts the bases of a strand of DNA."""

    kind, modality, input_name = "dna", "dna", "strand"

    def __init__(self, bases: str = "ACGT") -> None:
        self.bases = bases

    def preprocess(self, rows):
        for index, row in enumerate(rows):
            if not isinstance(row, str) or set(row) - set(self.bases):
                raise InputError(f"Row {index} is {row!r}; the model takes strands of {self.bases}.")
        counts = map(Counter, rows)
        return [{"counts": np.array([count[base] for base in self.bases], dtype=np.float32)} for count in counts]

    def bucket(self, features):
        return 0

    def batch(self, features):
        return {"features": np.stack([row["counts"] for row in features])}

    @property
    def input_specs(self):
        return (TensorSpec("strand", "BYTES", (-1,)),)

    @property
    def row_schema(self):
        return {"type": "string"}

    def is_many(self, value):
        return isinstance(value, list)

    @property
    def dynamic_axes(self):
        return {"features": {0: "batch"}}

    @property
    def net_arguments(self):
        return {"in_features": len(self.bases)}

    def settings(self):
        return {"bases": self.bases}

    def save(self, folder):
        pass

    @classmethod
    def load(cls, settings, folder):
        return cls(**settings)
'''
SHRUNK = (
    "data=files",
    "data.source.input=strand",
    "compress=none",
    "baseline=null",
    "registry=null",
    "resume=never",
    "trainer.max_epochs=2",
    "export.robustness_rows=6",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with the user's file and table; what the file registers is forgotten again."""
    folder = tmp_path_factory.mktemp("dna")
    (folder / "my_dna.py").write_text(MODULE)
    random = np.random.default_rng(0)
    rich = {label: ["".join(random.choice(list(bases), 12)) for _ in range(60)] for label, bases in BASES.items()}
    rows = [f"{strand},{label}" for label, strands in rich.items() for strand in strands]
    (folder / "strands.csv").write_text("strand,label\n" + "\n".join(rows) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setattr(kinds, "_REGISTERED", [])
        yield folder
        sys.modules.pop("my_dna", None)


BASES = {"rich": "GGGGCCCCAT", "poor": "AAAATTTTGC"}


@pytest.fixture(scope="module")
def config(folder: Path) -> maas.RunConfig:
    places = (f"data.source.path={folder / 'strands.csv'}", f"runs_dir={folder / 'runs'}")
    return maas.compose("digits_mlp", *SHRUNK, *places, name="dna", processor={"_target_": "my_dna.DnaProcessor"})


@pytest.fixture(scope="module")
def line(config: maas.RunConfig) -> maas.lifecycle.Line:
    return maas.lifecycle.run(config)


def test_own_kind_is_trained_exported_and_proven_when_it_is_one_file(line: maas.lifecycle.Line) -> None:
    bundle = line.bundle
    assert (bundle.manifest.task, bundle.manifest.processor) == ("dna-classification", {"kind": "dna", "bases": "ACGT"})
    assert all(parity.agreement.value == 1 for parity in bundle.evidence.parity)
    assert [answer["label"] for answer in bundle.predict(["GGCC" * 3, "AATT" * 3])] == ["rich", "poor"]


def test_own_kind_is_served_as_the_bundle_predicts(
    line: maas.lifecycle.Line, config: maas.RunConfig, served_alike: Any
) -> None:
    assert served_alike(line.bundle, list(load_rows(config).test.inputs[:4]))


def test_robustness_has_no_curves_when_the_kind_knows_no_perturbations(line: maas.lifecycle.Line) -> None:
    assert line.bundle.evidence.robustness == ()


def test_own_kind_is_explained_as_a_whole_when_it_has_no_parts(line: maas.lifecycle.Line) -> None:
    found = explain(line.bundle, "GGCC" * 3, label="rich")
    (attribution,) = found.attributions
    assert found.parts[0].name == "strand"
    assert attribution == pytest.approx(found.value - found.baseline, abs=1e-6)
    assert attribution > 0


PREDICTED = "import sys, maas; print(maas.load(sys.argv[1]).predict(['GGCC'])[0]['label'])"


def test_own_kind_is_found_in_another_process_when_the_environment_names_its_module(
    line: maas.lifecycle.Line, folder: Path
) -> None:
    command = [sys.executable, "-c", PREDICTED, str(line.bundle.folder)]
    variables = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        command, env={**variables, "MAAS_KINDS": "my_dna"}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("rich\n", 0), done.stderr


def test_author_is_told_what_to_do_when_the_module_was_not_imported(
    line: maas.lifecycle.Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "_REGISTERED", [])
    with pytest.raises(BundleError, match=r"kind is 'dna'; .*import the module that registers it: MAAS_KINDS=MODULE"):
        maas.load(line.bundle.folder).predict(["GGCC"])
    importlib.reload(sys.modules["my_dna"])
    assert maas.load(line.bundle.folder).predict(["GGCC"])
