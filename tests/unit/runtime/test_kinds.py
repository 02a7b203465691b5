"""A kind of input of a user's own: a class that is registered; a bundle names it by kind alone."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from maas.errors import BundleError, ConfigError
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


def test_module_is_imported_when_the_environment_names_it(tmp_path, monkeypatch):
    (tmp_path / "kinds_of_mine.py").write_text(
        "import maas\nfrom maas.runtime.processors.array import ArrayProcessor\n\n\n"
        "@maas.register_kind\nclass Mine(ArrayProcessor):\n    kind = 'mine'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MAAS_KINDS", " kinds_of_mine, ")
    assert type(load_processor({"kind": "mine", "shape": [2]}, tmp_path)).__module__ == "kinds_of_mine"
    assert kinds.environment_with_kinds()["MAAS_KINDS"] == "kinds_of_mine"


def test_environment_names_modules_of_registered_kinds_when_it_is_for_another_process(monkeypatch):
    monkeypatch.delenv("MAAS_KINDS", raising=False)
    assert "MAAS_KINDS" not in kinds.environment_with_kinds()
    register_kind(HalvedProcessor)
    assert kinds.environment_with_kinds()["MAAS_KINDS"] == HalvedProcessor.__module__


def test_module_is_named_when_the_environment_names_one_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("MAAS_KINDS", "absent_module")
    with pytest.raises(ConfigError, match="^MAAS_KINDS names the module absent_module, which cannot be imported: "):
        load_processor({"kind": "mine"}, tmp_path)
