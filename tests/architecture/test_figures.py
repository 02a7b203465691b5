"""Figures of the house that only fall; `measure_house.py --offenders` lists what each counts."""

import pytest

from tests.architecture import measure_house
from tests.architecture.measure_house import HERE, Module, modules_of

MODULES = modules_of(HERE)


def module(source: str, name: str = "maas/room/file.py") -> Module:
    return Module(name, source)


def test_no_function_is_longer_than_50_lines_when_bodies_are_counted():
    assert not [place for lines, place in measure_house.functions_by_lines(MODULES) if lines > 50]


def test_no_file_is_longer_than_320_lines_when_lines_are_counted():
    assert not [(one.name, one.lines) for one in MODULES if one.lines > 320]


@pytest.mark.parametrize(
    ("rule", "most"),
    [
        (measure_house.bare_any, 40),
        (measure_house.returned_any, 20),
        (measure_house.broad_excepts, 29),
    ],
)
def test_figure_does_not_rise_when_the_package_is_read(rule, most):
    assert len([place for one in MODULES for place in rule(one)]) <= most


def test_name_means_one_thing_when_modules_are_compared():
    assert not measure_house.two_meanings(MODULES)


def test_word_of_the_glossary_is_used_when_something_is_named():
    assert not measure_house.home_made(HERE, MODULES)


def test_idiom_is_avoided_when_text_is_read():
    assert not measure_house.prose(HERE)


def test_file_is_worth_a_window_when_lines_are_counted():
    assert len(measure_house.small_files(MODULES)) <= 26


def test_bare_any_is_found_when_it_is_all_of_an_annotation():
    source = "def f(a: Any, b: list[Any], *c: Any, d: typing.Any = None) -> Any: ...\nx: Any = 1\nclass A:\n    y: Any"
    assert {place.split()[1] for place in measure_house.bare_any(module(source))} == {"a", "c", "d", "x", "y"}
    assert [place.split()[1] for place in measure_house.returned_any(module(source))] == ["f"]


@pytest.mark.parametrize(
    ("clause", "count"),
    [
        ("except:", 1),
        ("except Exception:", 1),
        ("except (OSError, BaseException):", 1),
        ("except (OSError, KeyError):", 0),
    ],
)
def test_broad_except_is_found_when_it_catches_whatever_comes(clause, count):
    assert len(list(measure_house.broad_excepts(module(f"try:\n    f()\n{clause}\n    pass")))) == count


def test_name_has_two_meanings_when_two_modules_define_it():
    first = module("class Store: ...\ndef main(): ...\ndef check(): ...\n_X = 1\nfrom a import Other", "maas/a/one.py")
    second = module("Store: int = 1\ndef main(): ...\ndef check(): ...\n_X = 2\nfrom a import Other", "maas/b/two.py")
    found = {"Store": ["maas/a/one.py", "maas/b/two.py"], "check": ["maas/a/one.py", "maas/b/two.py"]}
    assert measure_house.two_meanings([first, second]) == found


def test_docstring_and_signature_do_not_count_when_a_function_is_measured():
    source = 'def f(\n    a,\n    b,\n):\n    """Adds.\n\n    Both.\n    """\n    c = a\n\n    return c + b\n'
    source += 'def g():\n    """Nothing."""\n'
    assert measure_house.functions_by_lines([module(source)]) == [
        (3, "maas/room/file.py:1 f"),
        (0, "maas/room/file.py:12 g"),
    ]


@pytest.mark.parametrize(
    ("name", "is_home_made"),
    [
        ("BaseJudge", True),
        ("families", True),
        ("_feeds_again", True),
        ("GivenUp", True),
        ("draw_up", True),
        ("DataPlane", True),
        ("answers", True),
        ("benchmark", False),
        ("drawn", False),
        ("plane", False),
        ("feed", False),
        ("up", False),
    ],
)
def test_home_made_word_is_found_when_it_is_part_of_a_name(name, is_home_made):
    assert bool(measure_house.HOME_MADE.keys() & set(measure_house.words_of(name))) is is_home_made
