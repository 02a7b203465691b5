"""What every perturbation keeps, over the files of runtime/processors and evidence/robustness."""

import pkgutil

import pytest

from maas.evidence import robustness
from maas.runtime import processors
from maas.runtime.processors.base import processor_class

APPARATUS = {"base", "measuring"}
KNOWN = {module.name for module in pkgutil.iter_modules(robustness.__path__)} - APPARATUS
KINDS = {
    module.name: processor_class(module.name)
    for module in pkgutil.iter_modules(processors.__path__)
    if module.name != "base"
}


@pytest.mark.parametrize("kind", KINDS)
def test_something_can_happen_to_the_rows_of_every_processor_when_kinds_are_listed(kind):
    assert {kind, KINDS[kind].modality} & KNOWN  # what somebody had does not get worse


def test_every_file_serves_a_processor_when_files_are_listed():
    assert {*KINDS, *(processor.modality for processor in KINDS.values())} >= KNOWN
