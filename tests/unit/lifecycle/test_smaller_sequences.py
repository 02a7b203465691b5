"""A bundle that writes texts by two graphs becomes smaller: both in 8 bits, evaluated and proven by its texts."""

import csv
import json

import numpy as np
import onnx
import onnxruntime
import pytest

import maas.compress
import maas.lifecycle.smaller_sequences as stage
from maas.errors import ConfigError, DataError, ParityError
from maas.evidence.translation_metrics import translation_drop, translation_metrics
from maas.lifecycle.given import Given
from maas.lifecycle.recipe import GraphRecipe
from maas.lifecycle.smaller_sequences import compress_sequences
from maas.onnx_graphs.joining import joined_graphs, parted_graphs
from maas.runtime.bundle import Bundle

WORDS = ["the", "meeting", "is", "coming", "home", "no", "text", "others", "she", "longer"]
LOOSE = ("compress.budget.max_drop=90", "compress.budget.speedup=null", "compress.budget.min_shrink=1")


def session(graph):
    return onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


def outputs_of(graph, given):
    names = [one.name for one in graph.graph.output]
    return dict(zip(names, session(graph).run(names, given), strict=True))


@pytest.fixture(scope="module")
def parent(serving_bundles, tmp_path_factory):
    return Bundle.open(serving_bundles.translating_bundle(tmp_path_factory.mktemp("bundles") / "translating"))


@pytest.fixture(scope="module")
def table(parent, tmp_path_factory):
    """Texts with what the model itself makes of them, so that it loses nothing."""
    random = np.random.default_rng(0)
    texts = sorted({" ".join(random.choice(WORDS, size=random.integers(1, 4))) for _ in range(60)})
    path = tmp_path_factory.mktemp("rows") / "pairs.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["said", "wanted"])
        writer.writerows((text, made or "-") for text, made in zip(texts, parent.translate(texts), strict=True))
    return path


@pytest.fixture
def given(table):
    return Given(calibration=table, input="said", label="wanted")


def recipe(*overrides):
    return GraphRecipe.of(overrides, generates=True, usual="sequences")


def test_graphs_give_the_same_numbers_when_they_were_joined_and_parted(parent):
    encode, decode = (onnx.load(parent.folder / parent.manifest.graphs[role]) for role in ("encode", "decode"))
    both = joined_graphs(encode, decode)
    onnx.checker.check_model(both)
    source = np.array([[0, 5, 9, 7], [0, 8, 3, 0]], np.int64)
    read = dict(
        zip([one.name for one in encode.graph.output], session(encode).run(None, {"source": source}), strict=True)
    )
    past = {
        f"past.{spec.name}": np.zeros((2, spec.shape[1], 0, spec.shape[3]), np.float32)
        for spec in parent.manifest.state
    }
    step = {"tokens": np.zeros((2, 1), np.int64), **past}
    (logits,) = session(decode).run(["logits"], {**step, **read})
    np.testing.assert_allclose(session(both).run(["logits"], {"source": source, **step})[0], logits, atol=1e-6)
    first, second = parted_graphs(both)
    assert [one.name for one in first.graph.input] == ["source"]
    assert {one.name for one in second.graph.input} == {one.name for one in decode.graph.input}
    again = dict(
        zip([one.name for one in first.graph.output], session(first).run(None, {"source": source}), strict=True)
    )
    assert again.keys() == read.keys()
    for name, array in read.items():
        np.testing.assert_array_equal(again[name], array)
    np.testing.assert_array_equal(session(second).run(["logits"], {**step, **read})[0], logits)


def test_drop_is_the_difference_of_chrf_when_texts_are_compared():
    wanted = ["the meeting ends", "two books", "on Monday"] * 5
    before, after = wanted, ["the meeting", "two books", "on Sunday"] * 5
    found = translation_drop(before, after, wanted)
    values = [translation_metrics(one, wanted)["chrf"].value for one in (before, after)]
    assert found.value == pytest.approx(values[0] - values[1])
    assert found.low <= found.value <= found.high
    same = translation_drop(after, after, wanted)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_both_graphs_have_eight_bits_when_the_budget_allows_it(parent, given, tmp_path):
    record = compress_sequences(recipe(*LOOSE), parent, given, tmp_path / "small")
    small = Bundle.open(tmp_path / "small")
    assert record.chosen == small.manifest.precision == "eight_bits"
    for role in ("encode", "decode"):
        graph = onnx.load(small.folder / small.manifest.graphs[role])
        assert any(node.op_type == "MatMulNBits" for node in graph.graph.node)
        file = parent.manifest.graphs[role]
        assert (small.folder / file).stat().st_size < (parent.folder / file).stat().st_size
    first, second = record.candidates
    assert first.drop is None
    assert first.metric.value > 99, "all but what cells of a table do not hold"
    assert second.drop.value == pytest.approx(first.metric.value - second.metric.value)
    assert second.changed_texts == 0
    evidence = small.evidence
    assert evidence.metrics["trained"]["chrf"].value > 99
    assert evidence.compression.chosen == "eight_bits"
    texts = ["the meeting", "no text", "she is longer"]
    assert small.translate(texts) == [small.translate([text])[0] for text in texts]
    with pytest.raises(ConfigError, match="holds eight_bits of tiny; name the bundle in fp32"):
        compress_sequences(recipe(*LOOSE), small, given, tmp_path / "smaller")


def test_model_ships_as_it_was_when_nothing_keeps_the_budget(parent, given, tmp_path):
    record = compress_sequences(recipe(*LOOSE, "+compress.budget.max_bytes=10"), parent, given, tmp_path / "small")
    assert record.chosen == "fp32"
    assert "allowed are 10" in record.reason
    assert Bundle.open(tmp_path / "small").translate(["the text"]) == parent.translate(["the text"])


def test_rows_are_refused_when_they_name_no_texts(parent, table, tmp_path):
    with pytest.raises(DataError, match="names no texts that its rows should become. Set label=COLUMN"):
        compress_sequences(recipe(), parent, Given(calibration=table, input="said"), tmp_path / "small")
    with pytest.raises(ConfigError, match="max_drop is null, and nothing limits what texts may lose"):
        compress_sequences(recipe("compress.budget.max_drop=null"), parent, Given(calibration=table), tmp_path / "x")
    assert not (tmp_path / "small").exists()


def test_nothing_is_written_when_the_proof_contradicts_the_choice(parent, given, tmp_path, monkeypatch):
    real = stage.texts_drop
    monkeypatch.setattr(stage, "texts_drop", lambda *given: real(given[0], given[1], ["?"] * len(given[1]), given[3]))
    with pytest.raises(ParityError, match=r"loses 99\.\d\d percentage points, at least 99\.\d\d; allowed is 90"):
        compress_sequences(recipe(*LOOSE), parent, given, tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_command_makes_a_bundle_smaller_when_it_writes_texts(parent, table, tmp_path, capsys):
    out = tmp_path / "small"
    arguments = [
        str(parent.folder),
        f"calibration={table}",
        "input=said",
        "label=wanted",
        f"out={out}",
        *LOOSE,
        "--json",
    ]
    maas.compress.main(arguments)
    assert json.loads(capsys.readouterr().out)["chosen"] == "eight_bits"
    assert Bundle.open(out).manifest.precision == "eight_bits"
