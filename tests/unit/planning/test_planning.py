"""From what a dry run reports to a plan."""

import io
import json
import re
from dataclasses import replace

import msgspec
import pytest
from rich.console import Console

import maas
from maas.data.folds import folded
from maas.lifecycle.recipe import load_rows
from maas.planning import RecipePlan
from maas.planning.estimating import Loop, TimedBatch, Watched
from maas.planning.planning import fold_fraction, planned
from maas.planning.report import LaterStages, Report
from maas.planning.result import plan_record, plan_table

WATCHED = Watched(
    loop=Loop(10, 6, 60, 1.0),
    steps=(TimedBatch(8, 1.0),) * 20,
    sizes=(8,) * 10,
    validated=(TimedBatch(8, 2.0),),
    validation_size=8,
    end_s=1.0,
    looped_s=30.0,
    checkpoint_bytes=1000,
    checkpoint_s=0.0,
    every_s=None,
    stops_early=False,
)
SECONDS = {"imports": 3, "load": 4, "processor": 5, "doctor": 6, "fit": 37.0, "validated": 8, "checkpoint": 9}
REPORT = Report(
    seconds=SECONDS,
    watched=WATCHED,
    pretraining_s=0.0,
    world=1,
    rows={"train": 800, "validation": 100, "test": 100},
    training_peak_bytes=7_000_000,
    peak_bytes=9_000_000,
    weights_bytes=400,
    later=LaterStages(
        bytes={"fp32": 500, "quantize_static": 100}, compress_s=60.0, variants=0, pipeline_epochs=0.0, export_s=30.0
    ),
)
PLENTY = 10**12


@pytest.fixture(scope="module")
def config() -> maas.RunConfig:
    return maas.compose("digits_mlp")


def printed(plan: RecipePlan) -> str:
    console = Console(file=io.StringIO(), width=110)
    console.print(plan_table(plan))
    return console.file.getvalue()


def test_stages_add_up_when_nothing_is_special(config):
    plan = planned(config, REPORT, PLENTY)
    assert [stage.name for stage in plan.stages] == ["start", "train", "compress", "export"]
    looped = 60 * 1.0 + 6 * (1.0 + 2.0)
    assert plan.stage("start").seconds == 7
    assert plan.stage("train").seconds == pytest.approx(5 + 6 + (37 - 30) + looped + 8 + 9)
    assert plan.seconds == pytest.approx(7 + 35 + looped + 60 + 30)
    assert (plan.peak_bytes, plan.stage("train").peak_bytes) == (9_000_000, 7_000_000)
    assert plan.warnings == ()


def test_search_is_a_stage_when_texts_are_generated_and_passes_are_requested():
    config, later = maas.compose("bible_gpt"), msgspec.structs.replace(REPORT.later, bytes={"fp32": 500})
    plan = planned(config, msgspec.structs.replace(REPORT, later=later), PLENTY)
    assert [stage.name for stage in plan.stages] == ["start", "train", "export"]
    plan = planned(maas.compose("bible_gpt", "compress=generation"), REPORT, PLENTY)
    assert [stage.name for stage in plan.stages] == ["start", "train", "compress", "export"]
    assert (plan.stage("compress").seconds, plan.stage("compress").note) == (60, "1 passes")


def test_folds_and_pretraining_are_stages_when_the_recipe_has_them(config):
    report = msgspec.structs.replace(REPORT, pretraining_s=50.0)
    plan = planned(replace(config, folds=5), report, PLENTY)
    assert plan.stage("pretrain").seconds == 50
    share = 1000 * 0.8 * (800 / 900) / 800
    assert plan.stage("folds").seconds == pytest.approx(5 * (5 + share * ((37 - 30) + 78 + 50)))


def test_fold_has_as_many_rows_as_planned_when_rows_are_folded():
    splits = load_rows(maas.compose("digits_mlp"))
    rows = {"train": len(splits.train), "validation": len(splits.validation), "test": len(splits.test)}
    for fold in folded(splits, 5):
        assert len(fold.train) == pytest.approx(fold_fraction(5, rows) * len(splits.train), rel=0.01)


def test_every_cut_net_is_counted_when_a_chain_is_searched(config):
    later = msgspec.structs.replace(REPORT.later, variants=3, pipeline_epochs=24.0)
    plan = planned(config, msgspec.structs.replace(REPORT, later=later), PLENTY)
    epoch = (60 * 1.0 + 6 * (1.0 + 2.0)) / 6
    assert plan.stage("compress").seconds == pytest.approx(60 * 4 + 24 * epoch)
    assert plan.stage("compress").note == "at most 3 cut nets, 1 passes on each"


def test_training_is_others_affair_when_no_loop_was_watched(config):
    plan = planned(config, msgspec.structs.replace(REPORT, watched=None), PLENTY)
    assert plan.stage("train").seconds == pytest.approx(5 + 6 + 37 + 8 + 9)
    assert plan.stage("train").note == "not by maas"


def test_numbers_are_told_when_the_disk_is_too_small(config):
    needed = 3 * 1000 + 400 + (500 + 100) + 2 * 500
    assert planned(config, REPORT, needed).warnings == ()
    (warning,) = planned(config, REPORT, needed - 1).warnings
    assert warning == (
        f"The run needs {needed:,} bytes on the disk of runs, which has {needed - 1:,} free. Set another runs_dir."
    )


def test_warnings_say_so_when_minutes_are_a_bound_or_there_is_none(config):
    def warnings(world: int = 1, **changes: object) -> str:
        watched = replace(WATCHED, **changes)
        return " ".join(planned(config, msgspec.structs.replace(REPORT, watched=watched, world=world), PLENTY).warnings)

    assert "may stop training earlier" in warnings(stops_early=True)
    assert "Nothing bounds training" in warnings(loop=Loop(10, None, None, 1.0))
    assert "2 processes will train" in warnings(world=2)


def test_pretraining_is_not_known_when_it_is_of_another_kind(config):
    foreign = replace(config, pretrain={"_target_": "my.Part"})
    plan = planned(foreign, msgspec.structs.replace(REPORT, pretraining_s=None), PLENTY)
    assert plan.stage("pretrain").seconds is plan.seconds is None
    assert plan.warnings == ("How long my.Part takes is not known.",)


def test_table_and_json_say_the_same_when_printed(config):
    plan = planned(config, REPORT, PLENTY)
    shown = printed(plan)
    assert "model.onnx: fp32 500 bytes, quantize_static 100 bytes" in shown
    assert all(stage.name in shown for stage in plan.stages)
    content = json.loads(msgspec.json.encode(plan_record(plan)))
    assert content["seconds"] == pytest.approx(plan.seconds)
    assert content["stages"][1]["peak_bytes"] == 7_000_000


def test_total_is_not_known_when_training_is_not_bounded(config):
    watched = replace(WATCHED, loop=Loop(10, None, None, 1.0))
    plan = planned(config, msgspec.structs.replace(REPORT, watched=watched), PLENTY)
    assert plan.seconds is None
    assert re.search(r"all +│ +\? ", printed(plan))


def test_pretraining_of_controls_is_said_not_to_be_counted(config):
    pretrained = replace(config, pretrain={"_target_": "my.Part"}, compress={"scratch_baselines": 2})
    (warning,) = planned(pretrained, msgspec.structs.replace(REPORT, pretraining_s=9.0), PLENTY).warnings
    assert warning.startswith("The pretraining of compress.scratch_baselines is not counted")
