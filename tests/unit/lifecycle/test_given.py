"""An imported bundle and plain files become smaller by the command line; what is wrong is told in one line."""

import json
import logging
import os
import re
import sys

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier

from maas import compress
from maas.errors import ConfigError
from maas.files import folder_published_whole, sha256_of
from maas.importing.samples import random_features
from maas.lifecycle import compressed
from maas.lifecycle import given as given_models
from maas.runtime.bundle import Bundle
from maas.runtime.graph import session_options

FREE = [f"compress.budget.{name}=null" for name in ("max_drop", "min_agreement", "max_batch_effect", "speedup")]
ONE = [*FREE, "~compress.passes.quantize_dynamic", "~compress.passes.simplify", "export.min_agreement=0.8"]


@pytest.fixture
def entered(monkeypatch, tmp_path, capsys):
    """Enters `maas.compress` and returns what it said, or the one line of its refusal."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    logger = logging.getLogger("maas")
    before = (list(logger.handlers), logger.level, logger.propagate)

    def enter(*arguments: object, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["maas.compress", *map(str, arguments)])
        if not status:
            compress.main()
            return capsys.readouterr().out
        with pytest.raises(SystemExit) as caught:
            compress.main()
        assert caught.value.code == status
        (line,) = capsys.readouterr().err.splitlines()
        return line

    yield enter
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.fixture(scope="module")
def given(digits, tmp_path_factory):
    """Rows of the digits that the line kept for testing and validation, with their targets."""
    path = tmp_path_factory.mktemp("given") / "rows.npz"
    parts = (digits.validation, digits.test)
    inputs = np.concatenate([np.array(list(part.inputs), dtype=np.float32) for part in parts])
    np.savez(path, inputs=inputs, targets=np.concatenate([part.targets for part in parts]))
    return path


@pytest.fixture(scope="module")
def mlp(digits, given, tmp_path_factory):
    """A net of scikit-learn as skl2onnx writes it, with a ZipMap, and rows by the name of its input."""
    folder = tmp_path_factory.mktemp("mlp")
    rows = np.array(list(digits.train.inputs), dtype=np.float32)
    net = MLPClassifier((64, 64), solver="lbfgs", max_iter=20, random_state=0, tol=1.0).fit(rows, digits.train.targets)
    (folder / "mlp.onnx").write_bytes(to_onnx(net, rows[:1]).SerializeToString())
    with np.load(given) as arrays:
        np.savez(folder / "rows.npz", X=arrays["inputs"], targets=arrays["targets"])
    return folder


def test_new_bundle_is_the_parents_but_for_its_graph_when_a_bundle_is_compressed(line, given, entered, tmp_path):
    said = entered(line.bundle.folder, f"calibration={given}", f"out={tmp_path / 'small'}", *ONE)
    parent, small = line.bundle, Bundle.open(tmp_path / "small")
    assert f"compressed: {tmp_path / 'small'}" in said
    for name in ("name", "task", "processor", "postprocessor", "signature", "serving", "lineage"):
        assert getattr(small.manifest, name) == getattr(parent.manifest, name)
    assert small.manifest.precision == "quantize_static"
    assert small.check_golden() == 0
    assert small.golden.inputs == parent.golden.inputs
    evidence = small.evidence
    assert evidence.parent_sha256 == parent.digest
    root, chosen = evidence.compression.candidates
    assert root.sha256 == chosen.parent_sha256 == sha256_of(parent.model_path)
    assert chosen.sha256 == sha256_of(small.model_path)
    assert chosen.bytes < root.bytes
    assert chosen.drop is not None
    assert evidence.data.rows == {"train": 211, "validation": 208, "test": 209}
    assert {"trained", "shipped"} == set(evidence.metrics)
    compared = ["onnxruntime", "onnx reference", "onnxruntime, extreme values", "shipped"]
    assert [one.right for one in evidence.parity] == compared
    assert evidence.parity[-1].rows == 209
    assert (tmp_path / "small/compression.png").is_file()


def test_refusal_counts_the_rows_when_the_model_itself_answers_with_what_is_no_number(entered, tmp_path):
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 4]) for name in ("x", "out")]
    nodes = [onnx.helper.make_node("Sqrt", ["x"], ["root"]), onnx.helper.make_node("MatMul", ["root", "w"], ["out"])]
    weights = onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    graph = onnx.helper.make_graph(nodes, "roots", ends[:1], ends[1:], [weights])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    onnx.save(model, tmp_path / "roots.onnx")
    np.savez(tmp_path / "rows.npz", x=-np.arange(1, 401, dtype=np.float32).reshape(100, 4))
    said = entered(
        tmp_path / "roots.onnx", f"calibration={tmp_path / 'rows.npz'}", f"out={tmp_path / 'small'}", *ONE, status=2
    )
    assert re.match(r"The model as it was given answers (\d+) of \1 rows with numbers that are not finite; ", said)
    assert not (tmp_path / "small").exists()


def test_file_keeps_its_inputs_and_outputs_when_a_plain_one_is_compressed(mlp, entered, tmp_path):
    source, small = mlp / "mlp.onnx", tmp_path / "small/mlp.onnx"
    said = entered(source, f"calibration={mlp / 'rows.npz'}", f"out={tmp_path / 'small'}", *ONE)
    assert "output_probability is read as probabilities" in said
    assert "chosen: quantize_static." in said
    assert "session.x64quantprecision" in said
    assert sorted(path.name for path in small.parent.iterdir()) == [
        "compression.json", "compression.png", "mlp.onnx", "proof.json",
    ]  # fmt: skip
    assert small.stat().st_size < 0.5 * source.stat().st_size
    one, other = (
        ort.InferenceSession(path, session_options(), providers=["CPUExecutionProvider"]) for path in (source, small)
    )
    assert [value.name for value in one.get_inputs()] == [value.name for value in other.get_inputs()]
    assert [value.name for value in one.get_outputs()] == [value.name for value in other.get_outputs()]
    record, proof = (json.loads((small.parent / f"{name}.json").read_text()) for name in ("compression", "proof"))
    assert record["chosen"] == "quantize_static"
    assert record["metric"] == "accuracy"
    assert record["candidates"][0]["sha256"] == proof["given_sha256"] == sha256_of(source)
    assert proof["shipped_sha256"] == sha256_of(small)
    with np.load(mlp / "rows.npz") as arrays:
        labels = one.run(["output_label"], {"X": arrays["X"]})[0], other.run(["output_label"], {"X": arrays["X"]})[0]
    assert proof["parity"]["agreement"]["value"] == pytest.approx(np.mean(labels[0] == labels[1]), abs=0.05)
    assert set(proof["metrics"]) == {"given", "shipped"}


def test_file_of_one_row_is_timed_row_by_row_when_it_takes_no_more(digits, given, entered, monkeypatch, tmp_path):
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path / "cache"))
    source = random_features(digits, hidden=96, scale=1 / 16)  # opset 11, a batch of one row, two outputs
    with np.load(given) as arrays:
        np.savez(tmp_path / "blind.npz", pixels=arrays["inputs"])
    arguments = [source, f"calibration={tmp_path / 'blind.npz'}", f"out={tmp_path / 'small'}", "gives=logits", *ONE]
    refused = entered(*arguments, "+compress.budget.batch_size=8", status=2)
    assert refused.endswith("takes one row at a time; set compress.budget.batch_size=1, or leave it out.")
    said = entered(*arguments)
    assert "by agreement alone: they have no targets" in said
    record = json.loads((tmp_path / "small/compression.json").read_text())
    assert record["metric"] is None
    assert record["chosen"] == "quantize_static"
    assert {one["batch_size"] for one in record["candidates"][1]["latencies"]} == {1}
    assert record["candidates"][1]["drop"] is None
    assert record["candidates"][1]["agreement"] > 0.8
    assert onnx.load(tmp_path / "small" / source.name).opset_import[0].version == 13


def test_nothing_is_left_when_it_is_interrupted(mlp, entered, monkeypatch, tmp_path):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compressed, "compression_picture", interrupted)
    arguments = [mlp / "mlp.onnx", f"calibration={mlp / 'rows.npz'}", f"out={tmp_path / 'small'}", "compress=none"]
    monkeypatch.setattr(sys, "argv", ["maas.compress", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        compress.main()
    assert caught.value.code == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "bundle"])
def test_second_is_refused_at_once_when_another_process_writes_the_folder(
    kind, line, mlp, given, entered, monkeypatch, tmp_path
):
    monkeypatch.setattr(given_models, "compress_source", None)  # no work is begun
    given = {
        "file": [mlp / "mlp.onnx", f"calibration={mlp / 'rows.npz'}"],
        "bundle": [line.bundle.folder, f"calibration={given}"],
    }[kind]
    with folder_published_whole(tmp_path / "small") as draft:
        (draft / "theirs").touch()
        told = entered(*given, f"out={tmp_path / 'small'}", status=2)
        assert told.startswith(f"Process {os.getpid()} writes {tmp_path / 'small'} now. Wait for it to end, or name")
    assert [path.name for path in (tmp_path / "small").iterdir()] == ["theirs"]


def test_first_to_end_stays_when_two_processes_began_at_once(tmp_path):
    out = tmp_path / "small"

    def both() -> None:
        with given_models.new_folder(out) as ours, folder_published_whole(out) as theirs:
            (ours / "ours").touch()
            (theirs / "theirs").touch()

    with pytest.raises(ConfigError, match=f"^{out} was written by another process in the meantime. Name another"):
        both()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["small", "small/theirs"]


def test_folder_is_refused_before_any_work_when_it_cannot_be_written(mlp, entered, monkeypatch, tmp_path):
    monkeypatch.setattr(given_models, "compress_source", None)
    (tmp_path / "file").touch()
    out = tmp_path / "file/small"
    told = entered(mlp / "mlp.onnx", f"calibration={mlp / 'rows.npz'}", f"out={out}", status=2)
    assert told == f"{out} cannot be written: File exists. Name another folder by out=."


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["out={folder}"], "is there already. Name another folder by out=, or remove it."),
        (
            ["compress=prune"],
            "prune, distil needs a trained checkpoint, and mlp.onnx comes without one. Leave it out, e.g.",
        ),
        (["optimizer=adam"], "optimizer=adam does not apply to "),
        (["compress.budget.max_drops=1"], "compress.budget.max_drops is no key of the recipe. Did you mean"),
        (
            ["metric=r2"],
            "metric is 'r2'; it must be one of accuracy, precision, recall, f1, balanced_accuracy, mcc, auc, ",
        ),
        (["gives=words"], "gives is words; it must be one of probabilities, logits, "),
        (["calibration="], "calibration is missing. Set calibration=PATH"),
        (["calibration=gone.npz"], "There is no file gone.npz. Set calibration=FILE.npz"),
        (["other.onnx"], "other.onnx: compress takes one model."),
    ],
)
def test_fault_is_told_in_one_line_when_the_command_is_wrong(changed, message, mlp, entered, tmp_path):
    told = {"calibration": str(mlp / "rows.npz"), "out": str(tmp_path / "small")}
    changed = [one.format(folder=tmp_path) for one in changed]
    told |= dict(one.split("=") for one in changed if one.split("=")[0] in told)
    rest = [one for one in changed if one.split("=")[0] not in told]
    arguments = [mlp / "mlp.onnx", *rest, *(f"{name}={value}" for name, value in told.items())]
    assert message in entered(*arguments, status=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["digits_mlp", "mine.yaml"])
def test_recipe_is_told_from_a_model_when_its_key_was_forgotten(name, entered):
    assert f"{name} is a recipe. Write maas compress recipe={name};" in entered(name, status=2)


def test_model_is_refused_when_it_is_no_onnx_or_quantised_or_no_bundle(mlp, entered, tmp_path):
    rest = [f"calibration={mlp / 'rows.npz'}", f"out={tmp_path / 'small'}"]
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "empty.onnx").touch()
    assert "text.onnx cannot be read as ONNX: " in entered(tmp_path / "text.onnx", *rest, status=2)
    assert "empty.onnx cannot be read as ONNX: " in entered(tmp_path / "empty.onnx", *rest, status=2)
    assert "There is no file gone.onnx. Name an ONNX file, a bundle's folder" in entered("gone.onnx", *rest, status=2)
    assert f"{tmp_path} holds no manifest.json" in entered(tmp_path, *rest, status=2)
    model = onnx.load(mlp / "mlp.onnx")
    model.graph.node.append(onnx.helper.make_node("DynamicQuantizeLinear", ["X"], ["a", "b", "c"]))
    onnx.save(model, tmp_path / "int8.onnx")
    refused = entered(tmp_path / "int8.onnx", *rest, status=2)
    assert refused == "int8.onnx is quantised already, by DynamicQuantizeLinear. Name the model that it was made from."
