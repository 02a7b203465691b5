"""A command line is read once, and what it cannot mean is refused in one line."""

import pytest

from maas.command_line import CommandLine
from maas.errors import ConfigError
from maas.overrides import require_each_once


def test_words_are_told_apart_when_they_are_mixed_with_options():
    line = CommandLine.parse(
        "train", ["recipe=a", "-m", "model.hidden=[1],[2]", "-cd", "own", "~compress.passes.x", "+a.b=1", "model.onnx"]
    )
    assert line.overrides == ("recipe=a", "model.hidden=[1],[2]", "~compress.passes.x", "+a.b=1")
    assert (line.names, line.config_dir, line.is_sweep) == (("model.onnx",), "own", True)


@pytest.mark.parametrize("flag", ["-c", "--cfg"])
def test_view_is_read_when_the_recipe_is_to_be_printed(flag):
    line = CommandLine.parse("train", [flag, "job", "--package", "optimizer", "--resolve", "recipe=a"])
    assert (line.view, line.package, line.resolves) == ("job", "optimizer", True)


def test_own_keys_and_flags_are_taken_out_when_an_entry_has_some():
    line = CommandLine.parse("compress", ["x.onnx", "out=small", "seed=1", "--json"], ["--json"])
    assert (line.value("out"), line.value("absent"), line.flags) == ("small", None, {"--json"})
    assert line.without(["out"]).overrides == ("seed=1",)
    assert line.without(["out"]).names == ()


REFUSED = {
    "model=A model=B": "model is given twice: model=A and model=B. Leave one.",
    "optimizer.lr=1 +optimizer.lr=2 seed=1 seed=2 seed=3": (
        "optimizer.lr is given twice: optimizer.lr=1 and +optimizer.lr=2. Leave one.\n"
        "seed is given 3 times: seed=1 and seed=2 and seed=3. Leave one."
    ),
    "--multi recipe=a": "Unrecognized arguments: --multi. See maas train --help.",
    "--cfg jobs": (
        "Argument -c/--cfg: invalid choice: 'jobs' (choose from 'job', 'hydra', 'all'). See maas train --help."
    ),
    "-cd": "Argument -cd/--config-dir: expected one argument. See maas train --help.",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_command_line_is_refused_when_it_cannot_be_meant(arguments):
    with pytest.raises(ConfigError) as caught:
        CommandLine.parse("train", arguments.split())
    assert str(caught.value) == REFUSED[arguments]


def test_nothing_is_refused_when_every_key_is_given_once():
    require_each_once(["a=1", "a.b=2", "+c=3", "~d"])
