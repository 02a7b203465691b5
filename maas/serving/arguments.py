"""Reads settings of the server: `key=value` of the command line, and `MAAS_KEY` of the environment for other keys."""

import typing
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import msgspec

from maas.bounds import required_by
from maas.errors import ConfigError, shortened_value
from maas.overrides import repeated_keys, with_home
from maas.serving.settings import ServerSettings
from maas.suggesting import nearest_of

PREFIX = "MAAS_"
MODEL = "model"
"""The one key that may be given several times; its variable holds addresses with blanks between them."""
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
KUBERNETES_PORT = "tcp://"
"""Kubernetes sets MAAS_PORT to an address with this scheme in the containers beside a service that is named maas."""
EMPTY = {
    "host": "Set host=127.0.0.1 for this machine alone, or host=0.0.0.0 for every network.",
    "admin_host": "Set admin_host=127.0.0.1 for this machine alone.",
    "state": "Set e.g. state=state.",
    "models": "Set e.g. models=models.yaml.",
    "default": "Set e.g. default=digits.",
}
"""What to do where a key of text is empty."""


def settings_from(arguments: Sequence[str], environment: Mapping[str, str] = NO_VARIABLES) -> ServerSettings:
    """Reads arguments, and the environment for keys that are not among them.

    Args:
        arguments: `key=value` each.
        environment: variables by name.

    Raises:
        ConfigError: a key is unknown, a value does not fit, or there is no model; every fault has its line.
    """
    kinds = typing.get_type_hints(ServerSettings, include_extras=True)
    arguments = list(map(with_home, arguments))
    known = [argument for argument in arguments if _is_known(argument, kinds)]
    if misplaced := [argument for argument in arguments if "=" not in argument]:
        raise ConfigError(_unknown(misplaced[0], list(kinds)))
    faults = [_unknown(argument, list(kinds)) for argument in arguments if argument not in known]
    faults += repeated_keys([argument for argument in known if _parts(argument)[0] != MODEL])
    given = {key: value for key, value in map(_parts, known) if key != MODEL}
    models = tuple(value for key, value in map(_parts, known) if key == MODEL)
    variables = variables_in(environment)
    faults += _misfits(
        {f"{PREFIX}{key.upper()}": (key, variables[key]) for key in variables.keys() - given.keys()}, kinds
    )
    faults += _misfits({key: (key, value) for key, value in given.items()}, kinds)
    values: dict[str, object] = {**variables, **given}
    values[MODEL] = models or tuple(variables.get(MODEL, "").split())
    if not (values[MODEL] and all(models)) and not values.get("models"):
        faults.append(f"{MODEL} is missing. Set e.g. {MODEL}=runs/sentiment_zh/latest/bundle.")
    if faults:
        raise ConfigError("\n".join(faults))
    return msgspec.convert(values, ServerSettings, strict=False)


def variables_in(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the values of settings that an environment holds, by key; an empty one sets nothing."""
    found = {key: environment.get(f"{PREFIX}{key.upper()}", "") for key in ServerSettings.__struct_fields__}
    if found["port"].startswith(KUBERNETES_PORT):
        found["port"] = ""
    return {key: value for key, value in found.items() if value}


def _parts(argument: str) -> tuple[str, str]:
    key, _, value = argument.partition("=")
    return key, value


def _is_known(argument: str, kinds: Mapping[str, object]) -> bool:
    return "=" in argument and _parts(argument)[0] in kinds


def _unknown(argument: str, keys: Sequence[str]) -> str:
    key, equals, _ = argument.partition("=")
    if not equals:
        return f"{shortened_value(argument)} is not key=value. Write e.g. model={shortened_value(argument, '')}."
    return f"{shortened_value(key, '')} is not a setting of the server.{nearest_of(key, keys)}"


def _misfits(values: Mapping[str, tuple[str, str]], kinds: Mapping[str, object]) -> Iterator[str]:
    """Yields what is wrong with values.

    Args:
        values: key and value by the name that messages give them.
        kinds: types by key.
    """
    for shown, (key, value) in sorted(values.items()):
        if not value and key in EMPTY:
            yield f"{shown} is empty. {EMPTY[key]}"
        elif key != MODEL:
            yield from _misfit(shown, value, kinds[key])


def _misfit(shown: str, value: str, kind: object) -> Iterator[str]:
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        yield f"{shown} is {shortened_value(value)}; {required_by(kind) or error}. Run python -m maas.serve --help."
