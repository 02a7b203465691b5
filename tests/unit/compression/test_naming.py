"""No two candidates of a search have one name."""

import pytest

from maas.compression.naming import require_names
from maas.errors import BudgetError


@pytest.mark.parametrize(
    ("pipeline", "onnx_passes", "trials", "scratch_baselines", "message"),
    [
        ([], ["fp32"], 0, 0, "fp32 is the name of the model as exported and of the pass fp32"),
        (["fp32"], [], 0, 0, "fp32 is the name of the model as exported and of the net that the passes fp32 make"),
        (
            ["prune", "distil"],
            ["prune-distil"],
            0,
            0,
            "prune-distil is the name of the pass prune-distil and of the net that the passes prune, distil make",
        ),
        (["prune"], ["prune-1"], 2, 0, "prune-1 is the name of the pass prune-1 and of the net that the passes prune"),
        (["prune"], ["int8", "prune-int8"], 0, 0, "prune-int8 is the name of the pass prune-int8 and of the pass int8"),
        (["prune"], ["scratch0"], 0, 1, "scratch0 is the name of the pass scratch0 and of a net that is trained from"),
        (["scratch0"], [], 0, 1, "scratch0 is the name of the net that the passes scratch0 make and of a net that is"),
        (["prune"], ["x", "scratch1-x"], 0, 2, "scratch1-x is the name of the pass scratch1-x and of the pass x after"),
    ],
)
def test_pass_is_refused_when_two_candidates_would_have_its_name(
    pipeline, onnx_passes, trials, scratch_baselines, message
):
    with pytest.raises(BudgetError) as caught:
        require_names(pipeline, onnx_passes, trials=trials, scratch_baselines=scratch_baselines)
    assert str(caught.value).startswith(f"compress.passes: {message}")
    assert str(caught.value).endswith("; give the pass another name.")


@pytest.mark.parametrize("name", ["", "-x", "a/b", "a.b", "../x", "a b", "é"])
def test_pass_is_refused_when_its_name_is_none_for_a_file(name):
    with pytest.raises(BudgetError, match="a pass's name is letters, digits, - and _, a letter or digit first"):
        require_names([], [name], trials=0, scratch_baselines=0)


def test_names_are_taken_when_they_only_look_alike():
    require_names([], ["prune-distil", "scratch0"], trials=0, scratch_baselines=3)  # no pipeline, and so no baseline
    require_names(["prune", "distil"], ["distil-prune", "prune_distil", "scratch7"], trials=0, scratch_baselines=3)
    require_names(["prune"], ["prune", "prune-2"], trials=2, scratch_baselines=0)
