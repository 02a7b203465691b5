"""Examining changes nothing, and training asks for it."""

import logging
import math
import os
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import maas
from maas.data.splits import Split, Splits
from maas.doctor import __main__ as entry
from maas.doctor import examine, require_sound
from maas.doctor.checks.splits import check_repeats
from maas.doctor.examining import check_names
from maas.doctor.recipe_under_check import RecipeUnderCheck
from maas.doctor.smoke_run import MOST_STEPS
from maas.errors import ConfigError
from maas.lifecycle import training
from maas.models.mlp import MLP
from maas.records.evidence import DataRecord
from maas.training.recipe import TrainingRecipe
from maas.training.resuming import random_states

SHORT = ("~registry", "compress=none", "trainer.max_epochs=2", "+data.max_rows=320", "resume=never")


def told(*overrides: str, recipe: str = "digits_mlp") -> tuple[Any, Any, Any]:
    config = maas.compose(recipe, *overrides)
    splits = config.data.build()
    return TrainingRecipe.of(config), splits, config.processor.build().fit(splits.train.inputs)


def state_of_process() -> list[Any]:
    switches = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark, torch.is_grad_enabled()
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]
    levels = [logging.getLogger(name).level for name in ("maas", "lightning.pytorch")]
    random = {name: repr(getattr(state, "tolist", lambda one=state: one)()) for name, state in random_states().items()}
    return [random, switches, handlers, levels, dict(os.environ), list(warnings.filters)]


def test_nothing_is_changed_when_a_recipe_is_examined(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told_of = told(*SHORT)
    torch.rand(3)
    before = state_of_process()
    settings = repr(told_of[0])
    examine(*told_of)
    assert state_of_process() == before
    assert repr(told_of[0]) == settings
    assert list(tmp_path.iterdir()) == []


def test_weights_are_the_same_bytes_when_training_was_examined_or_not(tmp_path, monkeypatch):
    config = maas.compose("digits_mlp", *SHORT, f"runs_dir={tmp_path}")
    examined = maas.lifecycle.train(config)
    monkeypatch.setattr(training, "require_sound", lambda *_: None)
    plain = maas.lifecycle.train(config)
    assert examined.folder != plain.folder
    weights = [checkpoint.folder / "weights.safetensors" for checkpoint in (examined, plain)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_training_is_refused_with_every_error_when_there_are_some(tmp_path):
    config = maas.compose(
        "digits_mlp", *SHORT, f"runs_dir={tmp_path}", "optimizer.lr=1000", "+callbacks=early_stopping"
    )
    stop = config.callbacks["early_stopping"].with_arguments(monitor="val_loss")
    with pytest.raises(ConfigError) as refused:
        maas.lifecycle.train(replace(config, callbacks={"early_stopping": stop}))
    lines = str(refused.value).splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["callbacks.early_stopping.monitor", "optimizer.lr"]
    assert not list(tmp_path.rglob("*.safetensors"))


def test_warnings_are_logged_and_training_goes_on_when_there_is_no_error(monkeypatch):
    logged = []
    monkeypatch.setattr("maas.doctor.examining.log.warning", lambda _, finding: logged.append(str(finding)))
    require_sound(*told(*SHORT, "objective.covers=all"))
    assert len(logged) == 1
    assert logged[0].startswith("warning: objective.covers: ")


def test_rounding_is_logged_and_nothing_refused_when_a_model_is_imported(monkeypatch):
    logged = []
    monkeypatch.setattr("maas.doctor.examining.log.warning", lambda _, finding: logged.append(str(finding)))
    config, splits, processor = told("processor.double=false", recipe="rules")
    far = Split([[*row[:-1], row[-1] / 1e3 + 1.7e9] for row in splits.train.inputs], splits.train.targets)
    require_sound(TrainingRecipe.of(config), replace(splits, train=far), processor)
    assert len(logged) == 1
    assert logged[0].startswith("warning: processor, column proline: it deviates by 0.")
    assert logged[0].endswith("[lost_scale]")


@pytest.mark.parametrize("recipe", ["rules", "import_sklearn"])
def test_nothing_is_built_when_nothing_is_trained_here(recipe, monkeypatch):
    told_of = told(recipe=recipe)
    monkeypatch.setattr("maas.doctor.examining.examine", lambda *_: pytest.fail("examined"))
    require_sound(*told_of)


def test_imported_model_passes_when_the_recipe_has_a_trainer():
    config, splits, processor = told(recipe="import_sklearn")
    trained = replace(TrainingRecipe.of(maas.compose("digits_mlp")), model=config.model)
    assert examine(TrainingRecipe.of(trained), splits, processor) == []


def test_one_line_says_that_all_is_well_when_nothing_is_found(capsys):
    entry.main(["recipe=digits_mlp"])
    assert capsys.readouterr().out == f"digits_mlp is well: {len(check_names())} checks found nothing.\n"


def test_status_is_2_and_findings_are_printed_when_there_is_an_error(capsys):
    with pytest.raises(SystemExit) as ended:
        entry.main(["recipe=digits_mlp", "optimizer.lr=1000", "objective.covers=all"])
    assert ended.value.code == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("error: optimizer.lr: ")
    assert any(line.startswith("warning: objective.covers: ") for line in lines[1:])


def test_status_is_0_when_there_are_warnings_only(capsys):
    entry.main(["recipe=digits_mlp", "objective.covers=all"])
    assert capsys.readouterr().out.startswith("warning: objective.covers: ")


def test_verb_is_known_when_maas_is_called():
    command = [sys.executable, "-m", "maas", "doctor", "recipe=digits_mlp", "optimizer.lr=1000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith("error: optimizer.lr: ")
    assert done.stderr == ""


class Ended(MLP):
    """Is asked to end in its first step of training."""

    def forward(self, features):
        if self.training:
            os.kill(os.getpid(), self.asked)
        return super().forward(features)


class Terminated(Ended):
    asked = signal.SIGTERM


class Interrupted(Ended):
    asked = signal.SIGINT


@pytest.mark.parametrize(("net", "ending"), [("Terminated", SystemExit), ("Interrupted", KeyboardInterrupt)])
def test_process_ends_when_it_is_asked_to_during_a_smoke_run(net, ending, request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    config, splits, processor = told(*SHORT)
    sys.modules.setdefault("ended", sys.modules[__name__])
    model = replace(config.model, target=f"ended.{net}")
    with pytest.raises(ending) as ended:
        examine(TrainingRecipe.of(replace(config, model=model)), splits, processor)
    assert ending is KeyboardInterrupt or ended.value.code == 128 + signal.SIGTERM


@pytest.mark.parametrize(("evaluating", "found"), [([-2, 0.5], 0), ([-1.0, 0.5], 2)], ids=["other rows", "the same"])
def test_rows_are_repeats_by_their_numbers_though_pythons_hashes_of_minus_1_and_2_are_the_same(evaluating, found):
    splits = {
        "train": Split([[-1, 0.5]], None),
        "validation": Split([evaluating], None),
        "test": Split([evaluating], None),
    }
    recipe: Any = SimpleNamespace(by_name=splits, targets=lambda _: np.zeros(0))
    assert len(list(check_repeats(recipe))) == found


def test_steps_are_counted_in_sequences_when_texts_are_packed(tmp_path, monkeypatch):
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path))
    texts = Split(["a text of some words"] * 9 + ["another"], None)
    splits = Splits(texts, texts, texts, (), DataRecord("", {}, {}))
    settings = ["processor.max_tokens=16", "processor.algorithm=characters", "batch_size=4", "trainer.max_epochs=3"]
    recipe = TrainingRecipe.of(maas.compose("bible_gpt", *settings))
    checked = RecipeUnderCheck(recipe, splits, recipe.fitted_processor(texts.inputs))
    tokens = 9 * (20 + 1) + 7 + 1  # the end of each text is one
    sequences = math.ceil(tokens / 16)
    assert checked.training_rows == sequences == 13
    assert checked.total_steps == 3 * math.ceil(sequences / 4)


def test_smoke_run_ends_after_its_steps_when_each_text_fills_many_sequences(tmp_path, monkeypatch):
    monkeypatch.setenv("MAAS_CACHE", str(tmp_path))
    texts = Split(["a text of some words " * 9] * 12, None)
    splits = Splits(texts, texts, texts, (), DataRecord("", {}, {}))
    settings = ["processor.max_tokens=16", "processor.algorithm=characters", "batch_size=4"]
    small = ["model.width=16", "model.layers=1", "model.heads=2", "model.feed_forward=16"]
    recipe = TrainingRecipe.of(maas.compose("bible_gpt", *settings, *small))
    checked = RecipeUnderCheck(recipe, splits, recipe.fitted_processor(texts.inputs))
    assert len(checked.smoke_run.losses) == checked.smoke_run.steps == MOST_STEPS
