"""What every way of cutting rows into parts keeps, over the files of runtime/processors and runtime/postprocessors."""

import pkgutil

import pytest

from maas.explaining import parts, quantities
from maas.explaining.parts import Parts
from maas.explaining.parts.base import SHARED_PARTS
from maas.explaining.quantities import Quantity
from maas.runtime import postprocessors, processors
from maas.runtime.kinds import class_of


def kinds_in(package) -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name != "base")


def test_every_processor_can_be_explained_when_kinds_are_listed():
    assert sorted([*kinds_in(parts), *SHARED_PARTS]) == kinds_in(processors)
    assert set(SHARED_PARTS.values()) <= set(kinds_in(parts))


def test_every_answer_can_be_explained_when_kinds_are_listed():
    assert kinds_in(quantities) == kinds_in(postprocessors)


@pytest.mark.parametrize("kind", kinds_in(parts))
def test_file_holds_parts_when_it_is_opened(kind):
    made = class_of(kind, Parts, "explained processor")
    assert issubclass(made, Parts)
    assert not made.__abstractmethods__


@pytest.mark.parametrize("kind", kinds_in(quantities))
def test_file_holds_a_quantity_when_it_is_opened(kind):
    made = class_of(kind, Quantity, "explained postprocessor")
    assert issubclass(made, Quantity)
    assert not made.__abstractmethods__
    assert made.name
