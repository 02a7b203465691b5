"""A bundle names its processor by kind; nothing else can be loaded through it."""

import pkgutil

import pytest

from maas.errors import BundleError
from maas.runtime import processors
from maas.runtime.processors import load_processor

KINDS = sorted(module.name for module in pkgutil.iter_modules(processors.__path__) if module.name != "base")


@pytest.mark.parametrize("kind", ["base", "absent", None, "os", "text.Processor", "../text"])
def test_known_kinds_are_listed_when_another_is_asked_for(tmp_path, kind):
    with pytest.raises(BundleError) as caught:
        load_processor({"kind": kind}, tmp_path)
    assert str(caught.value) == (
        f"The processor's kind is {kind!r}; this version of maas knows {', '.join(KINDS)}. Upgrade maas, or, "
        "for a kind of your own, import the module that registers it: MAAS_KINDS=MODULE does so in every process."
    )


def test_settings_are_shown_when_the_processor_does_not_know_them(tmp_path):
    with pytest.raises(BundleError, match="^The array processor does not know the setting 'colour'. Upgrade maas.$"):
        load_processor({"kind": "array", "colour": 1}, tmp_path)
