"""Where a model comes from: recipe, code, data, pins, seed."""

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions, version
from pathlib import Path

from maas.config import CONSTRAINTS, RunConfig
from maas.config.own_files import own_files_of_parts
from maas.config.schema import digest_of
from maas.credentials import without_credentials
from maas.evidence.machine import this_machine
from maas.files import sha256_of
from maas.lifecycle.recipe import GraphRecipe
from maas.records.manifest import Lineage

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
    return _lineage(config.name, config.overrides, config.digest(), config.seed, data_fingerprint)


def graph_lineage(recipe: GraphRecipe, data_fingerprint: str) -> Lineage:
    """Describes the origin of what is made of a graph that comes without a recipe.

    Args:
        recipe: by which it is made.
        data_fingerprint: digest of the rows of all splits.
    """
    return _lineage("", recipe.overrides, recipe.digest, recipe.seed, data_fingerprint)


def decoder_lineage(settings: Mapping[str, str | int], data_fingerprint: str) -> Lineage:
    """Describes the origin of a bundle that is made of a decoder that comes without a recipe.

    Args:
        settings: what it was exported by.
        data_fingerprint: digest of the prompts that it was proven with.
    """
    words = tuple(f"{name}={value}" for name, value in settings.items())
    return _lineage("", words, digest_of(settings), 0, data_fingerprint)


def _lineage(name: str, overrides: tuple[str, ...], digest: str, seed: int, data_fingerprint: str) -> Lineage:
    return Lineage(
        recipe=name,
        overrides=tuple(map(without_credentials, overrides)),
        config_sha256=digest,
        seed=seed,
        data_fingerprint=data_fingerprint,
        git_commit=git_commit(),
        constraints_sha256=sha256_of(CONSTRAINTS),
        maas_version=version("maas"),
    )


def work_key(config: RunConfig, data_fingerprint: str) -> str:
    """Returns a digest of recipe, rows and code: an interrupted run is resumed only where all are the same."""
    parts = [config.digest(), data_fingerprint, *_code(config)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def candidates_key(config: RunConfig, data_fingerprint: str) -> str:
    """Returns a digest of all that bears on a compressed candidate beside the passes that made it, the machine too."""
    machine = this_machine()
    parts = [
        config.digest(without=("compress", "baseline")),
        data_fingerprint,
        *_code(config),
        f"{machine.processor} {machine.cores} {machine.python}",
        *(f"{one.metadata['Name']} {one.version}" for name in MAKERS for one in distributions(name=name)),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def code_key(config: RunConfig) -> str:
    """Returns a digest of the code alone: of maas itself, the recipe's parts and what they import."""
    return hashlib.sha256("\n".join(_code(config)).encode()).hexdigest()


def own_code(config: RunConfig) -> dict[str, str]:
    """Returns the digests of the recipe's parts and of the user's own files that these import, by module."""
    return {name: sha256_of(file) for name, file in own_files_of_parts(config.targets()).items()}


def _code(config: RunConfig) -> Iterator[str]:
    """Yields module and digest of maas itself, of the recipe's parts, and of the user's own files that these import."""
    ours = {file.relative_to(PACKAGE).as_posix(): file for file in PACKAGE.rglob("*.py")}
    digests = {name: sha256_of(file) for name, file in sorted(ours.items())}
    yield from (f"{name} {digest}" for name, digest in {**digests, **own_code(config)}.items())


def git_commit() -> str | None:
    """Returns the working directory's commit, with `-dirty` where tracked files differ; None outside a checkout."""
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
