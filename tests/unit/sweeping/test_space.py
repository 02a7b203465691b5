"""Spaces are read as Hydra's grammar says, and what cannot be searched is refused in one line."""

import pytest

from maas.errors import ConfigError
from maas.searching.dimensions import Choices, NumberRange
from maas.sweeping.space import SweepSpace, own_value

DIMENSIONS = {
    "a=1,2,3": Choices(("1", "2", "3")),
    "a=choice([64],[128,64])": Choices(("[64]", "[128,64]")),
    "a=interval(1,5)": NumberRange(1.0, 5.0),
    "a=int(interval(1,5))": NumberRange(1, 5),
    "a=tag(log,interval(1e-4,1))": NumberRange(1e-4, 1.0, is_log=True),
    "a=tag(log,int(interval(8,512)))": NumberRange(8, 512, is_log=True),
    "a=range(1,10,2)": NumberRange(1, 9, 2),
    "a=range(5,1,-1)": NumberRange(2, 5, 1),
    "a=range(0,1,0.25)": NumberRange(0.0, 0.75, 0.25),
}
FAULTS = {
    "a=interval()": "a=interval() cannot be read: missing a required argument: 'start'. Write e.g. a=interval(0.001,",
    "a=interval(1)": "a=interval(1) cannot be read: missing a required argument: 'end'.",
    "a=choice()": "a=choice() cannot be read: empty choice is not legal.",
    "a=interval(5,1)": "a=interval(5,1) ends before it begins. Write the smaller number first.",
    "a=tag(log,interval(0,1))": "a=tag(log,interval(0,1)) begins at 0.0; tag(log,…) requires numbers above 0.",
    "a=tag(log,range(1,9))": "a=tag(log,range(1,9)): tag(log,…) takes an interval.",
    "a=tag(lgo,interval(1,2))": "a=tag(lgo,interval(1,2)) is tagged lgo; the only tag is log.",
    "a=range(5,1)": "a=range(5,1) holds no value. Write range(START,STOP,STEP), with STOP after START.",
    "a=range(1,5,0)": "a=range(1,5,0) holds no value.",
}


@pytest.mark.parametrize("override", DIMENSIONS)
def test_dimension_is_read_when_an_override_sweeps(override):
    space = SweepSpace.read(["recipe=digits_mlp", override])
    assert space.dimensions == {"a": DIMENSIONS[override]}
    assert space.fixed == ("recipe=digits_mlp",)
    assert space.written == {"a": override.removeprefix("a=")}


@pytest.mark.parametrize("override", FAULTS)
def test_fault_is_one_line_when_a_dimension_is_wrong(override):
    with pytest.raises(ConfigError) as caught:
        SweepSpace.read([override])
    assert str(caught.value).startswith(FAULTS[override])
    assert "\n" not in str(caught.value)


def test_all_faults_are_told_when_there_are_two():
    with pytest.raises(ConfigError) as caught:
        SweepSpace.read(["a=interval(5,1)", "b=choice()"])
    assert len(str(caught.value).splitlines()) == 2


def test_sign_stays_at_the_key_when_an_argument_is_added():
    space = SweepSpace.read(["+optimizer.nesterov=true,false", "~compress.passes.quantize_static"])
    assert list(space.dimensions) == ["+optimizer.nesterov"]
    assert space.point == ["~compress.passes.quantize_static", "+optimizer.nesterov=True"]


@pytest.mark.parametrize(
    ("dimension", "value", "found"),
    [
        (Choices(("[64]", "[128,64]")), [128, 64], "[128,64]"),
        (Choices(("0.10", "1e-3")), 0.001, "1e-3"),
        (Choices(("sgd", "adam")), "adamw", None),
        (Choices(("null", "true")), None, "null"),
        (NumberRange(0.0, 1.0), 1, 1.0),
        (NumberRange(0.0, 1.0), 1.5, None),
        (NumberRange(0.0, 1.0), True, None),
        (NumberRange(1, 9, 2), 5, 5),
        (NumberRange(1, 9, 2), 4, None),
        (NumberRange(1, 9), 4.5, None),
        (NumberRange(0.1, 0.7, 0.2), 0.3, 0.3),
    ],
)
def test_own_value_is_found_when_it_lies_in_the_dimension(dimension, value, found):
    assert own_value(dimension, value) == found


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        (NumberRange(1, 9, 4), [1, 5, 9]),
        (NumberRange(0.1, 0.4, 0.1), [0.1, 0.2, 0.3, 0.4]),
        (NumberRange(1, 3), [1, 2, 3]),
        (NumberRange(0.0, 1.0), []),
    ],
)
def test_grid_has_every_value_when_there_are_finitely_many(dimension, values):
    assert list(dimension.grid()) == values
