"""The exception tree is the one drawn at the top of its file."""

import inspect
import re

from maas import errors


def drawn() -> dict[str, str]:
    """Returns child → parent as the module's drawing shows it."""
    parents: dict[str, str] = {}
    stack: list[tuple[int, str]] = [(0, "MaasError")]
    for line in errors.__doc__.splitlines():
        found = re.match(r"(?P<indent>[ │├└─]*[├└]── )(?P<name>\w+)", line)
        if found:
            depth = len(found["indent"])
            stack = [entry for entry in stack if entry[0] < depth]
            parents[found["name"]] = stack[-1][1]
            stack.append((depth, found["name"]))
    return parents


def test_tree_is_as_drawn_when_the_classes_are_listed():
    classes = {name: one for name, one in inspect.getmembers(errors, inspect.isclass) if name != "MaasError"}
    assert {name: one.__base__.__name__ for name, one in classes.items()} == drawn()


def test_parity_error_carries_both_numbers_when_it_is_raised():
    error = errors.ParityError("differs", found=0.5, allowed=1e-5)
    assert (str(error), error.found, error.allowed) == ("differs", 0.5, 1e-5)


def test_overload_error_says_when_to_come_back_when_nothing_else_is_said():
    assert errors.OverloadError("full").retry_after_s == 1
