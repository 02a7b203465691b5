"""How parts are found, and neighbours put together."""

import pytest

from maas.errors import BundleError
from maas.explaining.parts import parts_of
from maas.explaining.parts.base import grouped
from maas.runtime.processors.array import ArrayProcessor


@pytest.mark.parametrize(("count", "most"), [(1, 1), (10, 3), (3, 10), (64, 64), (65, 64)])
def test_groups_are_even_and_in_order_when_items_are_shared_out(count, most):
    groups = grouped(range(count), most)
    assert [item for group in groups for item in group] == list(range(count))
    assert len(groups) == min(count, most)
    assert max(map(len, groups)) - min(map(len, groups)) <= 1


def test_kind_is_named_when_nothing_is_known_of_its_parts():
    class Unknown(ArrayProcessor):
        kind = "smell"

    with pytest.raises(BundleError, match=r"^The explained processor's kind is 'smell'; this version of maas knows"):
        parts_of([1], Unknown([1]), None, None)
