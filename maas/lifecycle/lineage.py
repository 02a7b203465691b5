"""Where a model comes from: recipe, code, data, pins, seed."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import distributions, version
from pathlib import Path

from maas.config import CONSTRAINTS, RunConfig, target_of
from maas.evidence.machine import this_machine
from maas.files import sha256_of
from maas.runtime.manifest import Lineage

PACKAGE = Path(__file__).parents[1]
MAKERS = (
    "torch",
    "lightning",
    "transformers",
    "torch-pruning",
    "onnx",
    "onnxscript",
    "onnx-ir",
    "onnxruntime",
    "optimum-onnx",
)
"""Packages that make candidates: with another version of one, files and times may be others."""


def lineage_of(config: RunConfig, data_fingerprint: str) -> Lineage:
    """Describes the origin of a model that is about to be trained.

    Args:
        config: the recipe.
        data_fingerprint: digest of the rows of all splits.
    """
    return Lineage(
        recipe=config.name,
        overrides=tuple(config.overrides),
        config_sha256=config.digest(),
        seed=config.seed,
        data_fingerprint=data_fingerprint,
        git_commit=git_commit(),
        constraints_sha256=sha256_of(CONSTRAINTS),
        maas_version=version("maas"),
    )


def work_key(config: RunConfig, data_fingerprint: str) -> str:
    """Returns a digest of recipe, rows and code: an interrupted run is gone on with only where all are the same."""
    parts = [config.digest(), data_fingerprint, *(sha256_of(file) for file in _sources(config))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def candidates_key(config: RunConfig, data_fingerprint: str) -> str:
    """Returns a digest of all that bears on a compressed candidate beside the passes that made it, the machine too."""
    machine = this_machine()
    parts = [
        replace(config, compress=None, baseline=None).digest(),
        data_fingerprint,
        *(sha256_of(file) for file in _sources(config)),
        f"{machine.processor} {machine.cores} {machine.python}",
        *(f"{one.metadata['Name']} {one.version}" for name in MAKERS for one in distributions(name=name)),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _sources(config: RunConfig) -> list[Path]:
    """Returns the files that hold maas itself and those that hold the recipe's parts."""
    parts = {getattr(target_of(target)[0], "__module__", None) for target in config.targets()}
    files = {Path(file) for name in parts if name and (file := getattr(sys.modules.get(name), "__file__", None))}
    return sorted(files | set(PACKAGE.rglob("*.py")))


def git_commit() -> str | None:
    """Returns the working directory's commit, with `-dirty` where tracked files differ; None outside a checkout."""
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
