"""Parameters that stand beside a path or an input: which model, which version, how many scores.

Each may be sent in the query or in the body; where both say it, the body decides.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta

from maas.errors import InputError, shortened_value
from maas.serving.protocols.operation_documents import JsonSchema, QueryParameter
from maas.serving.protocols.operations import Request
from maas.serving.repository import PredictingDeployment, Snapshot

MOST_COUNT = 999_999_999
MODEL_PROPERTIES: JsonSchema = {
    "model": {"type": ["string", "null"]},
    "version": {"type": ["string", "integer", "null"], "minLength": 1},
}
"""Of a body that may name a model."""
SCORES_PROPERTIES: JsonSchema = {
    "top_k": {"type": ["integer", "null"], "minimum": 1},
    "scores": {"type": ["boolean", "null"]},
}
"""Of a body that may want scores by label."""
MODEL_QUERY = (
    QueryParameter("model", {"type": "string"}, "name of the model; the default one answers where none is named"),
    QueryParameter("version", {"type": "string", "minLength": 1}, "version of the model, or a label of one"),
)
SCORES_QUERY = (
    QueryParameter(
        "top_k",
        {"type": "integer", "minimum": 1, "maximum": MOST_COUNT},
        "adds the scores of the best labels, by name, this many at most",
    ),
    QueryParameter("scores", {"type": "boolean"}, "adds the scores of all labels, by name and in their order"),
)
VersionName: TypeAlias = str | int | float
"""As JSON may hold one: a whole number may be written 3.0."""
WholeCount: TypeAlias = Annotated[int, Meta(ge=1)] | Annotated[float, Meta(ge=1)]
"""A whole number of at least 1, which may be written 3.0."""
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def chosen_deployment(
    request: Request, snapshot: Snapshot, default: PredictingDeployment, model: str | None, version: VersionName | None
) -> tuple[PredictingDeployment, str | None]:
    """Returns the deployment that a request names, and the version that it wants; the request keeps its name.

    Args:
        request: its query may name them.
        snapshot: what is served.
        default: what answers where none is named.
        model: name in the body.
        version: version, or label of one, in the body.

    Raises:
        UnknownModelError: it is not served.
        InputError: the version is a fraction.
    """
    if request.query:
        model = request.query.get("model") if model is None else model
        version = request.query.get("version") if version is None else version
    if model is None and version is None:
        request.model = default.name
        return default, None
    wanted = (
        None if version is None else str(whole_number("version", version) if isinstance(version, float) else version)
    )
    found = snapshot.find(model or default.name, wanted)
    request.model = found.name
    return found, wanted


def count_parameter(request: Request, name: str, given: WholeCount | None) -> int | None:
    """Returns a number of at least 1 that the body or the query gives, or None.

    Raises:
        InputError: the query's is no such number.
    """
    if given is not None:
        return whole_number(name, given)
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise InputError(
            f"The parameter {name} is {shortened_value(text)}; it is a whole number from 1 to {MOST_COUNT}, e.g. "
            f"{name}=3."
        )
    return int(text)


def whole_number(name: str, value: float) -> int:
    """Returns a number of a body as a whole number.

    Raises:
        InputError: it is a fraction.
    """
    if value != int(value):
        raise InputError(f"The body's {name} is {value}; it is a whole number, e.g. {int(value) or 1}.")
    return int(value)


def truth_parameter(request: Request, name: str, given: bool | None) -> bool:
    """Returns whether the body or the query wants something.

    Raises:
        InputError: the query has neither true nor false.
    """
    text = request.query.get(name)
    if text is None:
        return bool(given)
    found = _TRUTHS.get(text.lower())
    if found is None:
        raise InputError(f"The parameter {name} is {shortened_value(text)}; it is true or false.")
    return found if given is None else given
