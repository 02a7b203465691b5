"""Training checkpoints: when they are written, which one is gone on with, and what they hold."""

import logging
import random

import numpy as np
import pytest
import torch

from maas.config import compose
from maas.data.splits import Split, Splits
from maas.errors import ConfigError
from maas.records.evidence import DataRecord
from maas.runtime.processors.array import ArrayProcessor
from maas.training.fitting import fit_recipe
from maas.training.recipe import TrainingRecipe
from maas.training.resuming import TrainingCheckpoints, newest_whole, random_states, restore_random_states

ROWS = 40


@pytest.fixture(scope="module")
def splits() -> Splits:
    generator = np.random.default_rng(0)
    targets = np.arange(ROWS) % 2
    rows = Split((generator.normal(0, 0.3, (ROWS, 2)) + 2 * targets[:, None]).tolist(), targets)
    return Splits(rows, rows.spread(20), rows.spread(20), ("a", "b"), DataRecord("", {}, {}))


def small(*overrides: str) -> TrainingRecipe:
    config = compose(
        "digits_mlp", "processor.shape=[2]", "processor.low=null", "model.hidden=[4]", "model.scale=1",
        "trainer.max_epochs=3", "batch_size=8", "callbacks.training_checkpoints.every_seconds=0",
        "callbacks.training_checkpoints.keep=100", *overrides,
    )  # fmt: skip
    return TrainingRecipe.of(config)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.glob("step=*"))


def steps(folder) -> list[int]:
    return [int(name.removeprefix("step=").partition(".")[0]) for name in names(folder)]


def test_point_is_written_after_each_step_and_epoch_when_no_work_may_be_lost(splits, tmp_path):
    fit_recipe(small(), splits, ArrayProcessor([2]), tmp_path)
    assert steps(tmp_path) == list(range(1, 16))  # five steps an epoch; the last of each holds its validation, too
    assert not list(tmp_path.glob("*.partial"))


def test_only_the_last_are_kept_when_there_are_more(splits, tmp_path):
    fit_recipe(small("callbacks.training_checkpoints.keep=2"), splits, ArrayProcessor([2]), tmp_path)
    assert steps(tmp_path) == [14, 15]


def test_point_waits_for_a_step_when_gradients_are_summed_over_batches(splits, tmp_path):
    fit_recipe(small("+trainer.accumulate_grad_batches=2"), splits, ArrayProcessor([2]), tmp_path)
    assert [step for step in steps(tmp_path) if step % 5] == [2, 4, 7, 9, 12, 14]


def test_points_come_by_steps_when_the_clock_is_slow(splits, tmp_path):
    settings = ["callbacks.training_checkpoints.every_seconds=1000", "callbacks.training_checkpoints.every_steps=4"]
    fit_recipe(small(*settings), splits, ArrayProcessor([2]), tmp_path)
    assert steps(tmp_path) == [4, 8, 12]


def test_no_point_is_left_of_an_epoch_after_which_training_stops_early(splits, tmp_path):
    stopping = ["callbacks=[training_checkpoints,early_stopping]", "callbacks.early_stopping.monitor=learning_rate"]
    settings = [*stopping, "callbacks.early_stopping.patience=1", "callbacks.early_stopping.mode=max"]
    fitted = fit_recipe(small(*settings, "trainer.max_epochs=9"), splits, ArrayProcessor([2]), tmp_path)
    stopped_after = len(fitted.history)
    assert stopped_after < 9
    assert max(steps(tmp_path)) == 5 * stopped_after - 1


@pytest.mark.parametrize("damage", ["cut", "altered", "empty"])
def test_damaged_point_is_passed_over_with_a_warning_when_an_older_one_is_whole(damage, splits, tmp_path, caplog):
    fit_recipe(small(), splits, ArrayProcessor([2]), tmp_path)
    newest, older = tmp_path / names(tmp_path)[-1], tmp_path / names(tmp_path)[-2]
    content = bytearray(newest.read_bytes())
    if damage == "altered":
        content[len(content) // 3] ^= 1
    newest.write_bytes({"cut": content[:-100], "altered": content, "empty": b""}[damage])
    logging.getLogger("maas").propagate = True
    assert newest_whole(tmp_path) == older
    assert f"{newest} is damaged and is passed over" in caplog.text


def test_nothing_is_gone_on_with_when_there_is_no_point(tmp_path):
    assert newest_whole(tmp_path) is None


@pytest.mark.parametrize(
    "settings",
    [
        ("schedule=plateau",),
        (  # five batches an epoch in windows of two, two and one; the seventh step lies within the third epoch
            "schedule=plateau", "+trainer.accumulate_grad_batches=2", "+trainer.max_steps=7",
            "objective.loss.class_weights=[1,3]", "+trainer.val_check_interval=2", "schedule.patience=1",
        ),
    ],
    ids=["whole epochs", "windows, ended within an epoch"],
)  # fmt: skip
def test_weights_are_the_same_when_training_goes_on_from_any_point(settings, splits, tmp_path):
    config = small("model.dropout=0.3", *settings)
    whole = fit_recipe(TrainingRecipe.of(config), splits, ArrayProcessor([2]), tmp_path / "whole")
    points = names(tmp_path / "whole")
    for point in points:
        folder = tmp_path / point.partition(".")[0]
        folder.mkdir()
        (folder / point).write_bytes((tmp_path / "whole" / point).read_bytes())
        (folder / "best.ckpt").write_bytes((tmp_path / "whole" / "best.ckpt").read_bytes())
        resumed = fit_recipe(TrainingRecipe.of(config), splits, ArrayProcessor([2]), folder)
        assert resumed.history == whole.history
        for left, right in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
            assert torch.equal(left, right)


def test_point_is_refused_when_another_number_of_processes_wrote_it():
    class Two:
        world_size = 2

    with pytest.raises(ConfigError, match="trained by 1 processes, and now there are 2"):
        TrainingCheckpoints().on_load_checkpoint(Two(), None, {"random_states": [random_states()], "loader": {}})


def test_all_generators_go_on_alike_when_their_states_are_brought_back():
    def drawn() -> tuple[float, float, float]:
        return random.random(), np.random.random(), torch.rand(()).item()  # noqa: NPY002 - the global one is meant

    states = random_states()
    first = drawn()
    restore_random_states(states)
    assert drawn() == first
