"""What every source of imported models keeps: 1,000 rows answered as by the source, and no pickle."""

import importlib
import inspect
import io
import json
import os
import pkgutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx.reference import ReferenceEvaluator
from sklearn.ensemble import RandomForestClassifier

from maas import importing
from maas.config import CONF, compose
from maas.data.sources import scikit_learn
from maas.data.splits import prepare
from maas.errors import ConfigError
from maas.importing.base import ImportedModel
from maas.importing.keras_net import KerasNet
from maas.importing.onnx_file import OnnxFile
from maas.importing.rule import Rule
from maas.importing.samples import convolutions, random_features
from maas.importing.scikit_learn import Estimator
from maas.runtime.processors.array import ArrayProcessor
from maas.runtime.processors.tabular import TabularProcessor

ROWS = 1000
OUTPUT = "probabilities"
AGAIN = """
import importlib, json, sys
from pathlib import Path
import numpy as np
for target, folder, axes in json.loads(sys.argv[1]):
    module, name = target.rsplit(".", 1)
    model = getattr(importlib.import_module(module), name).load({}, Path(folder) / "source")
    with np.load(Path(folder) / "examples.npz") as examples:
        model.write_onnx(Path(folder) / "again.onnx", examples=dict(examples), axes={
            model_input: {int(axis): size for axis, size in names.items()} for model_input, names in axes.items()
        }, output="probabilities", opset=20)
"""
"""Writes saved models again, in a process whose hashes are others."""


def sources() -> dict[str, type[ImportedModel]]:
    """Returns the sources by file."""
    found = {}
    for module in pkgutil.iter_modules(importing.__path__):
        members = vars(importlib.import_module(f"{importing.__name__}.{module.name}")).values()
        own = [
            one
            for one in members
            if inspect.isclass(one) and issubclass(one, ImportedModel) and one.__module__.endswith(f".{module.name}")
        ]
        assert len(own) <= 1, "one source, one file"
        if own and not inspect.isabstract(own[0]):
            found[module.name] = own[0]
    return found


def digits() -> SimpleNamespace:
    """1,797 rows, of which over 1,000 are for testing."""
    splits = prepare(scikit_learn("sklearn.datasets.load_digits"), 0.1, 0.6)
    return SimpleNamespace(splits=splits, processor=ArrayProcessor([64], 0, 16), rows=splits.test.inputs[:ROWS])


def wine() -> SimpleNamespace:
    """178 rows are too few: each column of 1,000 others is drawn from that column of the whole table."""
    splits = prepare(scikit_learn("sklearn.datasets.load_wine"), 0.2, 0.2)
    table = np.array([*splits.train.inputs, *splits.validation.inputs, *splits.test.inputs])
    drawn = np.random.default_rng(0).permuted(np.tile(table, (6, 1)), axis=0)[:ROWS]
    numbers = compose("rules").processor["numbers"]
    rows = [dict(zip(numbers, [None if value < 1 else value for value in row], strict=True)) for row in drawn.tolist()]
    return SimpleNamespace(splits=splits, processor=TabularProcessor(numbers).fit(splits.train.inputs), rows=rows)


def onnx_file() -> tuple[ImportedModel, SimpleNamespace]:
    data = digits()
    return OnnxFile(str(random_features(data.splits, hidden=64, scale=1 / 16)), gives="logits"), data


def keras_net() -> tuple[ImportedModel, SimpleNamespace]:
    return KerasNet(lambda: convolutions(scale=1 / 16, filters=2), gives="logits", epochs=2), digits()


def rule() -> tuple[ImportedModel, SimpleNamespace]:
    model = compose("rules").model
    return Rule(model["rules"], model["default"]), wine()


SAMPLES = {
    "keras_net": keras_net,
    "onnx_file": onnx_file,
    "rule": rule,
    "scikit_learn": lambda: (Estimator(RandomForestClassifier(50)), digits()),
}
"""A model that has not met the data yet, and the data; a new source adds its own here."""


@pytest.fixture(scope="module")
def met(tmp_path_factory) -> dict[str, SimpleNamespace]:
    """Every source after it has met the data, written and saved."""
    folder = tmp_path_factory.mktemp("importing")
    os.environ["MAAS_CACHE"], before = str(folder / "cache"), os.environ.get("MAAS_CACHE")
    found = {}
    for name, make in SAMPLES.items():
        fresh, data = make()
        model = fresh.fit(data.splits, data.processor)
        model_inputs = data.processor.batch(data.processor.preprocess(data.rows))
        examples, axes = (
            {model_input: array[:4] for model_input, array in model_inputs.items()},
            data.processor.dynamic_axes,
        )
        (folder / name / "source").mkdir(parents=True)
        model.save(folder / name / "source")
        np.savez(folder / name / "examples.npz", **examples)
        path = folder / name / "model.onnx"
        model.write_onnx(path, examples=examples, axes=axes, output=OUTPUT, opset=20)
        found[name] = SimpleNamespace(
            fresh=fresh, model=model, data=data, model_inputs=model_inputs, path=path, axes=axes
        )
    del os.environ["MAAS_CACHE"]
    if before is not None:
        os.environ["MAAS_CACHE"] = before
    return found


@pytest.fixture(params=SAMPLES)
def one(request, met) -> SimpleNamespace:
    return met[request.param]


def contents_of(folder: Path) -> Iterator[bytes]:
    """Yields the bytes of each file, and of each file inside an archive."""
    for path in folder.iterdir():
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield from map(archive.read, archive.namelist())
        else:
            yield path.read_bytes()


def run(path, model_inputs) -> np.ndarray:
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run([OUTPUT], dict(model_inputs))[0]


def test_every_source_has_a_sample_when_files_are_listed():
    assert set(sources()) == set(SAMPLES)


def test_every_source_has_a_part_when_conf_is_listed():
    text = "\n".join(path.read_text(encoding="utf-8") for path in (CONF / "model").glob("*.yaml"))
    assert all(f"_target_: {one.__module__}.{one.__qualname__}\n" in text for one in sources().values())


def test_a_thousand_rows_are_answered_as_by_the_source_when_they_come_at_once_and_alone(one):
    expected, found = one.model.outputs(one.model_inputs), run(one.path, one.model_inputs)
    assert expected.shape == found.shape == (ROWS, len(one.data.splits.labels))
    assert expected.dtype == found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-5
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    assert len(set(found.argmax(axis=1))) > 1
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    for index in range(3):
        alone = {name: array[index : index + 1] for name, array in one.model_inputs.items()}
        np.testing.assert_allclose(run(one.path, alone)[0], found[index], atol=1e-6)


def test_reference_evaluator_answers_alike_when_it_runs_the_graph(one):
    few = {name: array[:20] for name, array in one.model_inputs.items()}
    (found,) = ReferenceEvaluator(str(one.path)).run([OUTPUT], few)
    np.testing.assert_allclose(found, one.model.outputs(few), atol=1e-5)


def test_graph_has_the_model_inputs_and_one_output_when_it_is_written(one):
    model = onnx.load(one.path)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == list(one.model_inputs)
    assert [value.name for value in model.graph.output] == [OUTPUT]
    for value in [*model.graph.input, *model.graph.output]:
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx.ml"}
    assert [path.name for path in one.path.parent.glob("*.onnx*")] == ["model.onnx"]


def test_answers_are_the_same_when_a_model_was_saved_and_opened(one):
    again = type(one.model).load({}, one.path.parent / "source")
    np.testing.assert_array_equal(again.outputs(one.model_inputs), one.model.outputs(one.model_inputs))
    assert again.framework == one.model.framework


def test_nothing_saved_is_a_pickle_when_its_bytes_are_read(one):
    contents = list(contents_of(one.path.parent / "source"))
    assert contents
    assert not [content for content in contents if content.startswith(b"\x80")]
    for content in contents:
        if content.startswith(b"\x93NUMPY"):
            np.load(io.BytesIO(content), allow_pickle=False)


def test_model_is_left_alone_when_a_copy_of_it_meets_the_data(one):
    assert one.fresh is not one.model
    with pytest.raises(ConfigError, match="met the data yet. Call fit first"):
        one.fresh.outputs(one.model_inputs)


@pytest.mark.slow
def test_bytes_are_the_same_when_another_process_writes_them(met):
    jobs = [
        (f"{type(one.model).__module__}.{type(one.model).__qualname__}", str(one.path.parent), one.axes)
        for one in met.values()
    ]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", AGAIN, json.dumps(jobs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    for one in met.values():
        assert (one.path.parent / "again.onnx").read_bytes() == one.path.read_bytes(), type(one.model)
