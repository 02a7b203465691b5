"""A bundle that generates, or a decoder, becomes a smaller bundle by one command, or nothing is written."""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import maas
from maas import compress
from maas.errors import ParityError
from maas.exporting import smaller_generation_proof
from maas.records.evidence import Interval

pytestmark = pytest.mark.usefixtures("few_steps")
FREE = ["speedup=null", "max_perplexity_ratio=1.2", "min_agreement=0.8"]
QUICK = ["tokens=200", *(f"compress.budget.{one}" for one in FREE)]
EIGHT = [*QUICK, "~compress.passes.mixed_bits"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    lines = [f"the model reads {index} prompts and writes {index * index} texts\n" for index in range(1500)]
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def entered(monkeypatch, capsys):
    """Enters `maas.compress` and returns what it said, or the one line of its refusal."""
    logger = logging.getLogger("maas")
    before = (list(logger.handlers), logger.level, logger.propagate)
    logger.handlers = []  # those of other tests may write to streams that are closed

    def enter(*arguments: object, status: int = 0) -> str:
        if not status:
            compress.main(list(map(str, arguments)))
            return capsys.readouterr().out
        with pytest.raises(SystemExit) as caught:
            compress.main(list(map(str, arguments)))
        assert caught.value.code == status
        said = capsys.readouterr()
        return said.err.rstrip("\n") if status == 2 else said.out

    yield enter
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


def test_bundle_generates_by_fewer_bits_when_it_is_compressed(bundle_of_llama, texts, entered, tmp_path):
    said = entered(bundle_of_llama.folder, f"texts={texts}", f"out={tmp_path / 'small'}", *EIGHT)
    assert "chosen: eight_bits." in said
    small = maas.load(tmp_path / "small")
    for name in ("name", "task", "signature", "serving", "lineage", "state", "generation"):
        assert getattr(small.manifest, name) == getattr(bundle_of_llama.manifest, name)
    assert small.manifest.precision == "eight_bits"
    assert small.model_path.stat().st_size < 0.6 * bundle_of_llama.model_path.stat().st_size
    assert len(small.generate("the", max_tokens=8, ignore_end=True).tokens) == 8
    golden = [json.loads((one.folder / "golden/texts.json").read_bytes()) for one in (bundle_of_llama, small)]
    assert [one["prompt"] for one in golden[0]] == [one["prompt"] for one in golden[1]]
    evidence = small.evidence
    assert evidence.parent_sha256 == bundle_of_llama.digest
    assert [one.name for one in evidence.compression.candidates] == ["fp32", "eight_bits"]
    assert evidence.compression.metric == "perplexity"
    trained, shipped = evidence.metrics["trained"], evidence.metrics["shipped"]
    ratio = shipped["perplexity"].value / trained["perplexity"].value
    assert shipped["perplexity_ratio"].value == pytest.approx(ratio)
    (parity,) = evidence.parity
    assert (parity.left, parity.right) == ("fp32", "shipped")
    assert 0.8 < parity.agreement.value < 1
    assert (small.folder / "compression.png").is_file()


@pytest.mark.parametrize("left_out", ["eight_bits", "mixed_bits"])  # among both, the clock chooses
def test_bytes_are_equal_when_the_same_bundle_is_compressed_twice(bundle_of_llama, texts, entered, tmp_path, left_out):
    for name in ("one", "two"):
        words = [f"texts={texts}", f"out={tmp_path / name}", f"~compress.passes.{left_out}"]
        entered(bundle_of_llama.folder, *words, *QUICK)
    one, two = (
        {file.relative_to(tmp_path / name): file.read_bytes() for file in sorted((tmp_path / name).rglob("*.*"))
         if file.is_file() and file.name not in ("evidence.json", "compression.png")}
        for name in ("one", "two")
    )  # fmt: skip
    assert one == two


def test_decoder_is_exported_first_when_a_folder_is_compressed(llama_folder, texts, entered, tmp_path):
    (tmp_path / "prompts.txt").write_text("the\na prompt\n")
    words = [f"prompts={tmp_path / 'prompts.txt'}", "context=96", "name=tiny", f"texts={texts}"]
    entered(llama_folder, *words, f"out={tmp_path / 'small'}", *EIGHT)
    small = maas.load(tmp_path / "small")
    assert (small.manifest.name, small.manifest.generation.context_length) == ("tiny", 96)
    assert [(one.left, one.right) for one in small.evidence.parity] == [("torch", "onnxruntime"), ("fp32", "shipped")]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["prompts.txt", "small"]


def test_model_stays_in_fp32_with_status_three_when_the_budget_cannot_be_kept(
    bundle_of_llama, texts, entered, tmp_path
):
    budget = ["tokens=200", "compress.budget.max_perplexity_ratio=0.9", "~compress.passes.mixed_bits"]
    said = entered(bundle_of_llama.folder, f"texts={texts}", f"out={tmp_path / 'small'}", *budget, status=3)
    assert "chosen: fp32. Nothing that was tried keeps the budget, so fp32 is kept (eight_bits: " in said
    assert maas.load(tmp_path / "small").manifest.precision == "fp32"


def test_nothing_is_written_when_other_text_contradicts_the_choice(
    bundle_of_llama, texts, entered, tmp_path, monkeypatch
):
    monkeypatch.setattr(smaller_generation_proof, "perplexity_ratio", lambda *_: Interval(1.5, 1.4, 1.6))
    told = entered(bundle_of_llama.folder, f"texts={texts}", f"out={tmp_path / 'small'}", *EIGHT, status=2)
    assert told == (
        "On the texts of the proof, the perplexity of eight_bits is 1.5000 times that of fp32, at least 1.4000; "
        "allowed is 1.2. Nothing was written. Give more text, or leave the pass out."
    )
    assert list(tmp_path.iterdir()) == []
    assert issubclass(ParityError, Exception)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "out is missing. Set out=FOLDER; see maas compress --help."),
        (["other", "out=x"], "other: compress takes one model."),
        (["out=x", "texts=gone.txt"], "texts is gone.txt, which cannot be read: "),
        (["out=x", "tokens=few"], "tokens is few: Expected `int`, got `str`."),
        (["out=x", "context=64"], "context applies to a decoder that is exported; "),
        (["out=x", "opset=20"], "opset=20 does not apply to "),
        (["out=x", "label=y"], "label=y does not apply to "),
        (["out=x", "compress.budget.max_perplexity=1"], "compress.budget.max_perplexity is no key of the recipe."),
        (["out=x", "compress=prune"], "prune, distil needs a trained checkpoint, and tiny comes without one."),
        (["out=x", "calibration=texts.txt"], "holds a model that generates texts: it does not predict."),
    ],
    ids=str,
)
def test_command_is_refused_in_one_line_when_it_cannot_be_followed(
    bundle_of_llama, tmp_path, monkeypatch, entered, words, message
):
    monkeypatch.chdir(tmp_path)
    told = entered(bundle_of_llama.folder, *words, status=2)
    assert message in told
    assert "\n" not in told
    assert not list(tmp_path.iterdir())


def test_bundle_is_refused_when_it_has_fewer_bits_already(bundle_of_llama, texts, entered, tmp_path):
    entered(bundle_of_llama.folder, f"texts={texts}", f"out={tmp_path / 'small'}", *EIGHT)
    told = entered(tmp_path / "small", f"texts={texts}", f"out={tmp_path / 'smaller'}", *EIGHT, status=2)
    assert told == f"{tmp_path / 'small'} holds eight_bits of tiny; name the bundle in fp32 that it was made from."


@pytest.mark.slow
def test_output_is_the_same_when_a_process_was_killed_in_the_middle(bundle_of_llama, texts, entered, tmp_path):
    entered(bundle_of_llama.folder, f"texts={texts}", f"out={tmp_path / 'whole'}", *EIGHT)
    words = [str(bundle_of_llama.folder), f"texts={texts}", f"out={tmp_path / 'small'}", *EIGHT]
    command = [sys.executable, "-u", "-m", "maas.compress", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        for line in process.stdout:
            if "tokens to choose by" in line:
                process.send_signal(signal.SIGKILL)
                break
    assert not (tmp_path / "small").exists()
    assert any(one.name.startswith("small") for one in tmp_path.iterdir()), "the draft of the killed process"
    entered(*words)
    manifests = [(tmp_path / name / "manifest.json").read_bytes() for name in ("whole", "small")]
    assert manifests[0] == manifests[1]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["small", "whole"]
