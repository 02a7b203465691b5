"""A kind of input of a user's own: a class that is registered; a bundle names it by kind alone."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from maas.errors import BundleError
from maas.evidence.robustness import Perturbation, perturbations_of
from maas.runtime import kinds
from maas.runtime.kinds import register_kind
from maas.runtime.processors import load_processor
from maas.runtime.processors.array import ArrayProcessor


class HalvedProcessor(ArrayProcessor):
    """Arrays, halved."""

    kind: ClassVar[str] = "halved"

    def arrays(self, rows: Sequence[Any]) -> list[Any]:
        return [array / 2 for array in super().arrays(rows)]

    def perturbations(self) -> tuple[Perturbation, ...]:
        return (Perturbation("doubled", "times", (0.0, 1.0), lambda rows, *_: [np.multiply(row, 2) for row in rows]),)


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.setattr(kinds, "_REGISTERED", [])


def test_kind_is_refused_when_its_class_was_not_registered(tmp_path):
    with pytest.raises(BundleError, match="The processor's kind is 'halved'; this version of maas knows array, "):
        load_processor({"kind": "halved", "shape": [2]}, tmp_path)


def test_processor_is_rebuilt_when_its_class_was_registered(tmp_path):
    register_kind(HalvedProcessor)
    again = load_processor(HalvedProcessor([2]).record(), tmp_path)
    assert isinstance(again, HalvedProcessor)
    assert again.batch(again.preprocess([[2, 4]]))["features"].tolist() == [[1, 2]]


def test_settings_are_checked_when_the_class_was_registered(tmp_path):
    register_kind(HalvedProcessor)
    with pytest.raises(BundleError, match="The halved processor does not know the setting 'colour'"):
        load_processor({"kind": "halved", "shape": [2], "colour": 1}, tmp_path)


def test_perturbations_are_the_processors_own_when_it_has_any():
    (found,) = perturbations_of(HalvedProcessor([2]))
    assert found.name == "doubled"


def test_shipped_kind_stays_when_a_class_of_its_name_is_registered(tmp_path):
    class Other(HalvedProcessor):
        kind: ClassVar[str] = "array"

    register_kind(Other)
    assert type(load_processor(ArrayProcessor([2]).record(), tmp_path)) is ArrayProcessor
