"""Every fault of a recipe is found at once, and says what was found, what is required and what to do."""

import pytest

from maas.config import compose
from maas.errors import ConfigError

OF_CLASSES = (
    "accuracy, precision, recall, f1, balanced_accuracy, mcc, auc, average_precision, log_loss, brier, ece_15, "
    "ece_2 to ece_1000, or my.module.f"
)


def faults(*overrides: str, recipe: str = "digits_mlp", **settings) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        compose(recipe, *overrides, **settings)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("batch_size=0", "batch_size is 0; it must be a whole number, 1 or more. Set e.g. batch_size=64."),
        ("seed=-1", "seed is -1; it must be a whole number from 0 to 4294967295. Set e.g. seed=1."),
        ("seed=4294967296", "seed is 4294967296; it must be a whole number from 0 to 4294967295. Set e.g. seed=1."),
        ("resume=maybe", "resume is 'maybe'; it must be auto or never. Set e.g. resume=auto."),
        ("name='a/b'", "name is 'a/b'; it must be letters, digits, - and _. Set e.g. name=my_model."),
        ("name=''", "name is ''; it must be letters, digits, - and _. Set e.g. name=my_model."),
        ("model.dropout=1", "model.dropout is 1; it must be a fraction in [0, 1). Set e.g. model.dropout=0.5"),
        ("objective.l2=-0.1", "objective.l2 is -0.1; it must be a number not below 0. Set e.g. objective.l2=0.0"),
        ("model.scale=0", "model.scale is 0; it must be a number above 0. Set e.g. model.scale=1.0"),
        (
            "data.test_fraction=0",
            "data.test_fraction is 0; it must be a fraction in (0, 1). Set e.g. data.test_fraction=0.1",
        ),
        (
            "compress.passes.quantize_static.calibration_rows=0",
            "compress.passes.quantize_static.calibration_rows is 0; it must be a whole number, 1 or more.",
        ),
        (
            "trainer=absent",
            "There is no trainer 'absent'. Set trainer=NAME; known are: cpu, cpu_bf16, ddp, ddp_cpu, fsdp, gpu, slurm.",
        ),
        ("+optimizer.momentun=1", "optimizer.momentun is not an argument of torch.optim.SGD. Did you mean momentum?"),
        ("optimizer.momentun=1", "optimizer.momentun is no key of the recipe. Did you mean optimizer.momentum?"),
        (
            "optimizer.dampening=1",
            "optimizer.dampening is not set in the recipe, but torch.optim.SGD takes it: write +optimizer.dampening=1",
        ),
        ("traner.max_epochs=1", "traner.max_epochs is no key of the recipe. Did you mean trainer?"),
        (
            "model._target_=torch.nn.Absent",
            "model._target_: 'torch.nn.Absent' cannot be imported: ",
        ),
        ("~schedule", "schedule is null, and the recipe trains. Set schedule=NAME, or trainer=null to train nothing."),
        ("folds=1", "folds is 1; it must be 2 or more, or 0 for no cross-validation. Set e.g. folds=5."),
        ("metric=null", f"metric is None; it must be one of {OF_CLASSES}. Set e.g. metric=accuracy."),
    ],
)
def test_fault_is_one_line_with_value_and_remedy_when_an_override_is_wrong(override, message):
    (line,) = faults(override)
    assert line.startswith(message)


def test_folds_are_refused_when_the_task_has_no_targets():
    (line,) = faults("folds=5", recipe="embed_minilm")
    assert line == "folds is 5; task embedding has no targets to evaluate held-out rows with. Set folds=0."


def test_every_fault_is_told_when_there_are_three_of_different_kinds():
    assert sorted(faults("batch_size=0", "trainer.max_epoch=3", "model.dropout=2")) == [
        "batch_size is 0; it must be a whole number, 1 or more. Set e.g. batch_size=64.",
        "model.dropout is 2; it must be a fraction in [0, 1). Set e.g. model.dropout=0.5",
        "trainer.max_epoch is no key of the recipe. Did you mean trainer.max_epochs?",
    ]


def test_recipes_are_listed_when_the_name_is_unknown():
    (line,) = faults(recipe="absent")
    assert line.startswith("There is no recipe 'absent'. Set recipe=NAME; known are: ")
    assert "digits_mlp" in line


def test_missing_values_are_all_named_when_a_part_requires_them():
    assert faults("data=files") == ["data.source.path is missing. Set data.source.path=…"]


def test_path_is_refused_when_nothing_is_there():
    (line,) = faults("data=files", "data.source.path=absent.csv")
    assert line == "data.source.path is 'absent.csv'; there is no such file or folder. Set data.source.path=PATH"


def test_fault_in_a_recipe_file_is_named_when_it_is_composed_by_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("defaults:\n  - override /model: mlp\nname: mine\nbatchsize: 3\n")
    assert any("batchsize" in line for line in faults(recipe=str(path)))


def test_metric_is_refused_before_training_when_nothing_measures_it():
    (line,) = faults("metric=acuracy")
    assert line.startswith("metric is 'acuracy'; it must be ")
    assert "accuracy" in line.removeprefix("metric is 'acuracy'")


def test_task_is_refused_before_training_when_no_task_head_is_of_its_kind():
    (line,) = faults("task=telepathy")
    known = (
        "classification, binary, multilabel, regression, transcription, embedding, generation, "
        "translation, speech_to_text, recommendation"
    )
    assert line.startswith(f"task is 'telepathy'; it must be one of {known}.")


def test_trainer_is_refused_when_the_task_learns_nothing():
    assert faults("task=embedding", "metric=null") == [
        "task embedding learns nothing, and the recipe has a trainer. Set trainer=null."
    ]


def test_metric_is_refused_before_training_when_the_task_has_another():
    (line,) = faults("task=regression")
    assert line.startswith("metric is 'accuracy'; it must be one of r2, mae, rmse, mape, pinball_1 to pinball_99, or ")


@pytest.mark.parametrize(
    ("key", "value", "required"),
    [
        ("serve.batch_size", 0, "from 1 to 1048576. Set e.g. serve.batch_size=32"),
        ("serve.threads", 0, "a number of threads from 1 to 256. Set e.g. serve.threads=1"),
        ("serve.threads", -1, "a number of threads from 1 to 256. Set e.g. serve.threads=1"),
        ("serve.threads", 1000000, "a number of threads from 1 to 256. Set e.g. serve.threads=1"),
    ],
)
def test_serving_setting_is_refused_before_training_when_it_is_out_of_bounds(key, value, required):
    (line,) = faults(f"{key}={value}")
    assert line.startswith(f"{key} is {value}; it must be ")
    assert line.endswith(required)


def test_words_that_are_allowed_are_listed_when_another_is_given():
    (line,) = faults("objective.covers=biases")
    assert line.startswith("objective.covers is 'biases'; ")
    assert "weights" in line
    assert "all" in line


def test_fractions_are_refused_when_they_leave_nothing_to_train_on(tmp_path):
    from maas.errors import DataError

    config = compose("digits_mlp", "data.validation_fraction=0.6", "data.test_fraction=0.5")
    with pytest.raises((ConfigError, DataError)) as caught:
        config.data.build()
    assert "fraction" in str(caught.value)


@pytest.mark.parametrize("metric", ["log_loss", "auc", "ece_10", "sklearn.metrics.hamming_loss"])
def test_metric_is_taken_when_it_is_a_loss_or_a_function(metric):
    config = compose("digits_mlp", f"metric={metric}")
    assert config.metric == metric
    assert (metric in config.targets()) is ("." in metric)


def test_metric_may_be_a_function_when_targets_are_sets():
    from maas.scoring.names import METRICS_OF_SETS, metric_fault

    assert metric_fault("sklearn.metrics.hamming_loss", METRICS_OF_SETS) is None
    assert metric_fault("accuracy", METRICS_OF_SETS) == (
        "metric is 'accuracy'; it must be one of macro_f1, micro_f1, samples_f1, subset_accuracy, hamming_loss, "
        "average_precision, or my.module.f. Set e.g. metric=macro_f1."
    )
    assert "which cannot be imported" in metric_fault("no.such.f", METRICS_OF_SETS)
    assert "ece_2" not in metric_fault("ece_10", METRICS_OF_SETS)


def test_metric_is_refused_when_its_function_does_not_say_which_way_is_better():
    (line,) = faults("metric=math.hypot")
    assert line == (
        "metric is 'math.hypot', a function of (); it must take targets, and predictions or scores. Call its second "
        "parameter predictions, or scores."
    )


@pytest.mark.parametrize("written", ["threshold=f1", "threshold={precision: 0.9}"])
def test_threshold_is_taken_when_it_is_a_rule(written):
    assert compose("digits_mlp", written).threshold in ("f1", {"precision": 0.9})


def test_threshold_is_refused_before_training_when_it_means_nothing():
    (line,) = faults("threshold=recall")
    assert line.startswith("threshold is 'recall'; it must be one of f1, balanced_accuracy, mcc, accuracy, which is")
    (line,) = faults("threshold=f1", "folds=5")
    assert line == "threshold is 'f1' and folds is 5; folds choose no threshold. Set folds=0."
    (line,) = faults("threshold=f1", "task=regression", "metric=r2")
    assert line == "threshold is 'f1'; task regression has no labels to predict. Set threshold=null."
