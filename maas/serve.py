"""Serves a model over HTTP.

usage: python -m maas.serve model=MODEL [key=value …]

    model            a bundle's folder, or models:/NAME@ALIAS or models:/NAME/VERSION in the registry
    host             the address to listen on (127.0.0.1)
    port             the port; 0 picks a free one (8080)
    batch_size       the most rows in one run of the model (the bundle's)
    threads          ONNX Runtime's threads in one run (the bundle's)
    max_queue        the most rows that may wait; a request takes at most half of them (2048)
    max_body_bytes   the most bytes of a request's body (8388608)
    max_total_bytes  the most bytes of all bodies in memory at one time (67108864)
    max_pixels       the most pixels of a picture (50000000)
    access_log       true writes one JSON line a request to stderr (false)

example: python -m maas.serve model=runs/sentiment_zh/latest/bundle port=8080
"""

import difflib
import sys
import typing
from collections.abc import Sequence
from dataclasses import MISSING, fields

import msgspec

from maas.command_line import repeated_keys
from maas.errors import ConfigError, MaasError, shortened_value
from maas.opening import locate
from maas.serving.settings import ServerSettings
from maas.serving.transports.process import serve


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `python -m maas.serve`; a wrong argument or model prints one line and exits with status 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or set(arguments) & {"-h", "--help", "help"}:
        print(__doc__.strip() if __doc__ else "")
        return
    try:
        settings = settings_from(arguments)
        found = locate(settings.model)
        serve(settings, folder=found.folder, name=found.name, version=found.version)
    except MaasError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def settings_from(arguments: Sequence[str]) -> ServerSettings:
    """Reads `key=value` arguments.

    Raises:
        ConfigError: a key is unknown, a value does not fit, or there is no model; every fault has its line.
    """
    kinds = typing.get_type_hints(ServerSettings, include_extras=True)
    given = {key: value for key, _, value in (argument.partition("=") for argument in arguments)}
    faults = [_unknown(argument, list(kinds)) for argument in arguments if not _is_known(argument, kinds)]
    faults += repeated_keys([argument for argument in arguments if _is_known(argument, kinds)])
    faults += [fault for key, value in given.items() if key in kinds and (fault := _misfit(key, value, kinds[key]))]
    required = [field.name for field in fields(ServerSettings) if field.default is MISSING]
    faults += [
        f"{key} is missing. Set e.g. {key}=runs/sentiment_zh/latest/bundle." for key in required if not given.get(key)
    ]
    if given.get("host") == "":
        faults.append("host is empty. Set host=127.0.0.1 for this machine alone, or host=0.0.0.0 for every network.")
    if faults:
        raise ConfigError("\n".join(faults))
    return msgspec.convert(given, ServerSettings, strict=False)


def _is_known(argument: str, kinds: typing.Mapping[str, object]) -> bool:
    key, equals, _ = argument.partition("=")
    return bool(equals) and key in kinds


def _unknown(argument: str, keys: Sequence[str]) -> str:
    key, equals, _ = argument.partition("=")
    if not equals:
        return f"{shortened_value(argument)} is not key=value. Write e.g. model={shortened_value(argument, '')}."
    nearest = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    hint = f"Did you mean {nearest[0]}?" if nearest else f"There is {', '.join(keys)}."
    return f"{shortened_value(key, '')} is not a setting of the server. {hint}"


def _misfit(key: str, value: str, kind: object) -> str:
    """Returns what is wrong with a value, or nothing."""
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        return f"{key} is {shortened_value(value)}; {_wanted(kind) or error}. Run python -m maas.serve --help."
    return ""


def _wanted(kind: object) -> str:
    """Returns the description of a type's bound, for `Count` as for `Count | None`."""
    for part in (kind, *typing.get_args(kind)):
        for bound in getattr(part, "__metadata__", ()):
            if isinstance(bound, msgspec.Meta) and bound.description:
                return f"it must be {bound.description}"
    return ""


if __name__ == "__main__":
    main()
