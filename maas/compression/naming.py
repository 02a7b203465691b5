"""The names of candidates: no two of a search may have the same, as records, files and choices refer to them."""

import re
from collections.abc import Collection, Iterator

from maas.errors import BudgetError

PARENT = "fp32"
"""The name of the model as exported."""
PASS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""The name of a pass, which names files, too."""


def require_names(
    pipeline: Collection[str], onnx_passes: Collection[str], *, trials: int, scratch_baselines: int
) -> None:
    """Refuses passes whose candidates would not have names of their own.

    Args:
        pipeline: passes over checkpoints.
        onnx_passes: names of the ONNX passes.
        trials: number of proposals for the pipeline; 0 takes it as it is written.
        scratch_baselines: number of nets that are trained from scratch to compare with.

    Raises:
        BudgetError: a pass has no name for a file, or two candidates would have the same.
    """
    for one in (*pipeline, *onnx_passes):
        if not PASS_NAME.fullmatch(one):
            raise BudgetError(
                f"compress.passes.{one} names files, too: a pass's name is letters, digits, - and _, a letter or digit "
                "first. Give the pass another name."
            )
    taken: dict[str, str] = {}
    for name, what in _candidates(pipeline, onnx_passes, trials, scratch_baselines):
        if name in taken:
            raise BudgetError(
                f"compress.passes: {name} is the name of {taken[name]} and of {what}; give the pass another name."
            )
        taken[name] = what


def _candidates(
    pipeline: Collection[str], onnx_passes: Collection[str], trials: int, scratch_baselines: int
) -> Iterator[tuple[str, str]]:
    """Yields the name of every candidate that a search may make, and what it is."""
    variants = [("", "the model as exported")]
    if pipeline:
        joined, made = "-".join(pipeline), f"the net that the passes {', '.join(pipeline)} make"
        names = [f"{joined}-{number}" for number in range(trials)] or [joined]
        variants += [(name, made) for name in names]
        variants += [(f"scratch{number}", "a net that is trained from scratch") for number in range(scratch_baselines)]
    for variant, what in variants:
        yield variant or PARENT, what
        for one in onnx_passes:
            yield "-".join(filter(None, (variant, one))), f"{_by(one)} after {variant}" if variant else _by(one)


def _by(one: str) -> str:
    return f"the pass {one}"
