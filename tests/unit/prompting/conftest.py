"""Bundles that generate, and one that predicts."""

import pytest

from maas.runtime.bundle import Bundle


@pytest.fixture(scope="session")
def folder(serving_bundles, tmp_path_factory):
    return serving_bundles.generating_bundle(tmp_path_factory.mktemp("bundles") / "generating")


@pytest.fixture(scope="session")
def bundle(folder):
    return Bundle.open(folder)
