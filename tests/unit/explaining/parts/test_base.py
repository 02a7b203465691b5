"""How parts are found, and neighbours put together."""

import numpy as np
import pytest

from maas.errors import InputError
from maas.explaining.parts import parts_of
from maas.explaining.parts.base import WholeInput, grouped
from maas.runtime import kinds
from maas.runtime.processors.array import ArrayProcessor


@pytest.mark.parametrize(("count", "most"), [(1, 1), (10, 3), (3, 10), (64, 64), (65, 64)])
def test_groups_are_even_and_in_order_when_items_are_shared_out(count, most):
    groups = grouped(range(count), most)
    assert [item for group in groups for item in group] == list(range(count))
    assert len(groups) == min(count, most)
    assert max(map(len, groups)) - min(map(len, groups)) <= 1


class SmellProcessor(ArrayProcessor):
    kind = "smell"


def test_input_is_one_part_when_nothing_is_known_of_its_kinds_parts():
    view = parts_of([1.5, 2], SmellProcessor([2]), None, None)
    assert [part.name for part in view.parts] == [SmellProcessor.input_name]
    assert view.row(np.array([True])) == [1.5, 2]
    assert view.row(np.array([False])) == [0, 0]
    assert "+0.5" in view.text(np.array([0.5]))
    assert "+0.5" in view.html(np.array([0.5]))
    with pytest.raises(InputError, match=r"save it as \.html"):
        view.picture(np.array([0.5]), "")


def test_input_becomes_the_baseline_when_one_is_given():
    view = parts_of([1.5, 2], SmellProcessor([2]), None, [3, 4])
    assert view.row(np.array([False])) == [3, 4]


def test_baseline_is_required_when_the_emptied_input_is_refused():
    with pytest.raises(InputError, match=r"compared with \[0\.0, 0\], which the model does not take: .*baseline="):
        parts_of([1.5, 2], SmellProcessor([2], low=1), None, None)


def test_parts_are_the_registered_ones_when_a_kind_of_ones_own_has_some(monkeypatch):
    class SmellParts(WholeInput):
        kind = "smell"

    monkeypatch.setattr(kinds, "_REGISTERED", [SmellParts])
    assert type(parts_of([1], SmellProcessor([1]), None, None)) is SmellParts
