"""The digest of a recipe stands for the work, not for where it is kept."""

import dataclasses

import pytest

from maas.config import compose
from maas.config.schema import RunConfig


def digest(*overrides: str) -> str:
    return compose("digits_mlp", *overrides).digest()


def test_digest_is_the_same_when_only_places_differ():
    elsewhere = [
        "runs_dir=/elsewhere",
        "resume=never",
        "registry.tracking_uri=sqlite:///other.db",
        "registry.alias=best",
    ]
    assert digest(*elsewhere) == digest() == digest("~registry")


def test_digest_is_the_same_when_an_override_repeats_the_recipe():
    assert digest("seed=0", "model.hidden=[256]") == digest()


@pytest.mark.parametrize("override", ["seed=1", "model.hidden=[255]", "optimizer.lr=0.051", "name=other", "metric=f1"])
def test_digest_differs_when_the_model_may_differ(override):
    assert digest(override) != digest()


def test_every_field_is_described_when_the_docstring_is_read():
    described = {line.split(":")[0].strip() for line in RunConfig.__doc__.splitlines() if ":" in line}
    assert {field.name for field in dataclasses.fields(RunConfig)} <= described
