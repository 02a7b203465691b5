"""Every shipped recipe goes through the whole line, on few rows: what answers in the end is what was trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import maas
from maas.config.recipe_files import RECIPES
from maas.errors import ConfigError, DataError
from maas.explaining import explain
from maas.lifecycle.recipe import load_rows
from maas.planning import plan
from maas.training.evaluation import scores_of
from tests.unit import tiny_llama

TASKS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")).get("task") for path in RECIPES.glob("*.yaml")}
"""As the recipes state them: to compose each would take every process that collects these tests seconds."""
ALL = sorted(TASKS)
GENERATIVE = [name for name in ALL if TASKS[name] == "generation"]
"""Recipes whose models continue texts."""
TRANSLATING = [name for name in ALL if TASKS[name] == "translation"]
"""Recipes that are trained and exported, and that no other stage takes."""
SPEAKING = [name for name in ALL if TASKS[name] == "speech_to_text"]
"""Recipes whose models write down speech; tests/unit/exporting/test_whisper.py takes them through the line."""
NAMES = [name for name in ALL if name not in (*GENERATIVE, *TRANSLATING, *SPEAKING)]
SHORT = ["registry=null", "baseline=null", "compress=none", "resume=never", "export.robustness_rows=6"]
SHRUNK = {
    "import_onnx": ["data.max_rows=400"],  # of fewer rows the sample's scores are so large that float32 tells
    "bible_gpt": [
        "processor.max_tokens=64",
        "model.width=32",
        "model.heads=2",
        "model.layers=2",
        "model.feed_forward=48",
    ],
    "commands": ["data.source.takes=1"],
    "translate": ["data.source.rows=400", "data.source.test_rows=60", "model.width=32", "model.heads=2"],
    "import_keras": ["model.epochs=2"],
    "embed_minilm": ["processor.max_tokens=16"],
    "reviews_minilm": ["processor.max_tokens=16"],
    "reviews_minilm_lora": ["processor.max_tokens=16"],
    "smollm2": ["model.pretrained=LLAMA", "model.context=null", "processor.max_tokens=64", "data.max_rows=4"],
    "smollm2_tuned": [
        "model.pretrained=LLAMA",
        "model.context=null",
        "processor.max_tokens=128",
        "data.source.rows=24",
        "data.source.test_rows=4",
    ],
}
"""What makes a recipe's own parts small, beside fewer rows and one epoch."""
LONG = {
    "airports",
    "bible_gpt",
    "commands",
    "digit_properties",
    "embed_minilm",
    "faces",
    "fashion_resnet",
    "fashion_vgg",
    "flights",
    "import_keras",
    "import_sklearn",
    "recommend",
    "reviews_minilm",
    "reviews_minilm_lora",
    "sentiment_zh_bert",
    "smollm2_tuned",
    "transcribe",
}
"""Recipes that take long even then; what they are made of is tested part by part as well."""


def by_duration(names: list[str]) -> list[Any]:
    """Recipes as parameters of tests; the long ones are left to the slow tier."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in names]


def loaded(config: Any) -> Any:
    """Loads a recipe's rows; skips where a Debian package that holds them is missing (`make system` brings them)."""
    try:
        return load_rows(config)
    except DataError as error:
        if "The Debian package" in str(error):
            pytest.skip(str(error))
        raise


def shrunk(name: str, folder: Path) -> Any:
    config = maas.compose(name)
    fewer = "data.max_users" if name == "recommend" else "data.max_rows"
    own = [*SHORT, f"++{fewer}=48", f"runs_dir={folder}"]
    if config.trainer is not None:
        own += ["trainer.max_epochs=1"]
    if config.pretrain is not None:
        own += ["pretrain.epochs=1"]
    if config.folds:
        own += ["folds=2"]
    if any("LLAMA" in one for one in SHRUNK.get(name, [])):
        tiny_llama.save(folder / "llama")
    return maas.compose(name, *own, *(one.replace("LLAMA", str(folder / "llama")) for one in SHRUNK.get(name, [])))


def agree(config: Any, checkpoint: Any, bundle: maas.Bundle, count: int, served_alike: Any) -> None:
    """Compares the model's own framework, ONNX Runtime and the server on raw test rows."""
    rows = load_rows(config).test.spread(count).inputs[:]
    trained = scores_of(checkpoint.run(), checkpoint.postprocessor(), checkpoint.processor(), rows)
    if bundle.manifest.precision == "fp32":
        scale = max(1.0, float(np.abs(trained).max()))
        np.testing.assert_allclose(bundle.predictor.scores(rows), trained, rtol=0, atol=1e-5 * scale)
    assert served_alike(bundle, rows)


@pytest.mark.usefixtures("few_turns")
@pytest.mark.parametrize("name", by_duration(NAMES))
def test_recipe_goes_through_the_line_when_it_is_shrunk(name: str, tmp_path: Path, served_alike: Any) -> None:
    config = shrunk(name, tmp_path)
    loaded(config)
    line = maas.lifecycle.run(config)
    agree(config, line.checkpoint, line.bundle, 12, served_alike)
    explanation = explain(line.bundle, line.bundle.golden.inputs[0], parts=6, orders=2)
    assert explanation.attributions.sum() == pytest.approx(explanation.value - explanation.baseline, abs=1e-4)


@pytest.mark.parametrize("name", by_duration(GENERATIVE))
def test_recipe_goes_through_the_line_when_it_generates_texts(name: str, tmp_path: Path) -> None:
    config = shrunk(name, tmp_path)
    loaded(config)
    line = maas.lifecycle.run(config)
    found = {who: set(metrics) for who, metrics in line.bundle.evidence.metrics.items()}
    assert {"log_likelihood", "perplexity", "bits_per_character", "bits_per_byte"} <= set(
        line.checkpoint.record.metrics
    )
    assert set(line.checkpoint.record.metrics) == found["trained"] == found["shipped"] - {"exact_match"}
    if "pretrained" not in config.model:
        tokens = line.checkpoint.processor().net_arguments["vocabulary_size"]
        assert 1 < line.checkpoint.record.metrics["perplexity"].value < tokens  # better than guessing
    assert line.bundle.evidence.parity[0].agreement.value == 1
    assert line.bundle.generate("In the", max_tokens=5, ignore_end=True).finish_reason == "length"
    evidence = maas.lifecycle.verify(config, line.checkpoint, line.bundle)
    assert evidence.metrics == line.bundle.evidence.metrics


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATIVE)
def test_recipe_is_planned_when_it_generates_texts(name: str, tmp_path: Path) -> None:
    config = shrunk(name, tmp_path)
    loaded(config)
    found = plan(config)
    assert [stage.name for stage in found.stages] == ["start", "train", "export"]
    assert found.artifact_bytes["fp32"] == maas.lifecycle.run(config).bundle.model_path.stat().st_size


@pytest.mark.parametrize("name", TRANSLATING)
def test_recipe_is_trained_and_exported_and_refused_by_other_stages_when_it_translates(
    name: str, tmp_path: Path, served_alike: Any
) -> None:
    config = shrunk(name, tmp_path)
    checkpoint = maas.lifecycle.train(config)
    assert {"log_likelihood", "perplexity", "chrf", "bleu", "exact_match"} <= set(checkpoint.record.metrics)
    tokens = checkpoint.processor().net_arguments["vocabulary_size"]
    assert 1 < checkpoint.record.metrics["perplexity"].value < tokens  # better than guessing
    bundle = maas.lifecycle.export(config, checkpoint)
    assert bundle.evidence.parity[0].agreement.value == 1
    for metric in ("chrf", "bleu", "exact_match"):
        assert bundle.evidence.metrics["shipped"][metric] == bundle.evidence.metrics["trained"][metric]
    rows = load_rows(config).test.spread(12).inputs[:]
    assert served_alike(bundle, rows)
    require_refused(config, checkpoint, bundle)
    with pytest.raises(ConfigError, match="models of the task translation are not cross-validated. Set folds=0."):
        maas.lifecycle.train(replace(config, folds=2))


def require_refused(config: Any, checkpoint: Any, bundle: maas.Bundle) -> None:
    """Every other stage refuses a recipe of texts in one line."""
    for refused in (
        lambda: maas.lifecycle.run(config),
        lambda: maas.lifecycle.compress(config, checkpoint),
        lambda: maas.lifecycle.verify(config, checkpoint, bundle),
        lambda: maas.lifecycle.register(config, bundle),
        lambda: plan(config),
    ):
        message = f"task is {config.task}; .* Run python -m maas.train recipe={config.name}"
        with pytest.raises(ConfigError, match=message):
            refused()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_recipe_answers_as_trained_on_500_rows_when_it_is_whole(name: str, served_alike: Any) -> None:
    """Goes on with a run that `make gallery` or a user has finished, if the recipe is unchanged."""
    config = maas.compose(name)
    loaded(config)
    run = next((one for one in finished(name) if one.manifest.lineage.config_sha256 == config.digest()), None)
    line = None if run else maas.lifecycle.run(config)
    bundle = run or line.bundle
    agree(config, maas.lifecycle.checkpoint_of(bundle), bundle, 500, served_alike)


def finished(name: str) -> list[maas.Bundle]:
    from maas.run_folders.lookup import runs_of

    return [maas.Bundle.open(one.bundle) for one in runs_of(Path("runs"), name) if one.state.finished]
