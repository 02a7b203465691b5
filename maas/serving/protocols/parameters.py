"""Parameters that stand beside a path or an input: which model, which version, how many scores.

Each may be sent in the query or in the body; where both say it, they agree.
"""

from maas.errors import InputError, shortened_value
from maas.serving.protocols.operations import JsonSchema, QueryParameter, Request
from maas.serving.repository import Deployment, Snapshot

MODEL_SCHEMA: JsonSchema = {"type": "string"}
VERSION_SCHEMA: JsonSchema = {"type": ["string", "integer"]}
TOP_K_SCHEMA: JsonSchema = {"type": "integer", "minimum": 1}
MODEL_QUERY = (
    QueryParameter("model", {"type": "string"}, "name of the model; the default one answers where none is named"),
    QueryParameter("version", {"type": "string"}, "version of the model, or a label of one"),
)
SCORES_QUERY = (
    QueryParameter("top_k", TOP_K_SCHEMA, "adds the scores of the best labels, by name, this many at most"),
    QueryParameter("scores", {"type": "boolean"}, "adds the scores of all labels, by name and in their order"),
)
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def chosen_deployment(
    request: Request, snapshot: Snapshot, default: Deployment, model: str | None, version: str | int | None
) -> tuple[Deployment, str | None]:
    """Returns the deployment that a request names, and the version that it wants; the request keeps its name.

    Args:
        request: its query may name them.
        snapshot: what is served.
        default: what answers where none is named.
        model: name in the body.
        version: version, or label of one, in the body.

    Raises:
        InputError: body and query name different ones.
        UnknownModelError: it is not served.
    """
    if request.query:
        model = _agreed("model", model, request.query.get("model"))
        version = _agreed("version", None if version is None else str(version), request.query.get("version"))
    if model is None and version is None:
        request.model = default.name
        return default, None
    wanted = None if version is None else str(version)
    found = snapshot.find(model or default.name, wanted)
    request.model = found.name
    return found, wanted


def count_parameter(request: Request, name: str, given: int | None) -> int | None:
    """Returns a number of at least 1 that the body or the query gives, or None.

    Raises:
        InputError: it is no such number, or body and query differ.
    """
    text = request.query.get(name)
    if text is None:
        return given
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise InputError(
            f"The parameter {name} is {shortened_value(text)}; it is a whole number of at least 1, e.g. {name}=3."
        )
    if given is not None and given != int(text):
        raise _differ(name, str(given), text)
    return int(text)


def truth_parameter(request: Request, name: str, given: bool | None) -> bool:
    """Returns whether the body or the query wants something.

    Raises:
        InputError: the query has neither true nor false, or body and query differ.
    """
    text = request.query.get(name)
    if text is None:
        return bool(given)
    found = _TRUTHS.get(text.lower())
    if found is None:
        raise InputError(f"The parameter {name} is {shortened_value(text)}; it is true or false.")
    if given is not None and given != found:
        raise _differ(name, str(given).lower(), text)
    return found


def _agreed(name: str, given: str | None, queried: str | None) -> str | None:
    if given is None or queried is None or given == queried:
        return queried if given is None else given
    raise _differ(name, given, queried)


def _differ(name: str, given: str, queried: str) -> InputError:
    return InputError(
        f"The body's {name} is {shortened_value(given)}, the query's is {shortened_value(queried)}; name one of them."
    )
