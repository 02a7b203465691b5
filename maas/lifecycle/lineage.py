"""Where a model comes from: recipe, code, data, pins, seed."""

import hashlib
import subprocess
from importlib.metadata import version

from maas.config import CONSTRAINTS, RunConfig
from maas.files import sha256_of
from maas.runtime.manifest import Lineage


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


def work_key(config: RunConfig) -> str:
    """Returns a digest of recipe and code: an interrupted run is gone on with only where both are the same."""
    parts = [config.digest(), version("maas"), git_commit() or ""]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def git_commit() -> str | None:
    """Returns the working directory's commit, with `-dirty` where tracked files differ; None outside a checkout."""
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
