"""What can be chosen for a load test, read from `key=value` arguments."""

import typing
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from maas.bounds import Count, Positive, required_by
from maas.errors import ConfigError, shortened_value
from maas.overrides import repeated_keys
from maas.suggesting import nearest_of

AUTO = "auto"
Connections = Annotated[int, msgspec.Meta(ge=1, le=500, description="a number of connections from 1 to 500")]


@dataclass(frozen=True)
class LoadSettings:
    """What is sent, how often, and what is kept of it.

    Args:
        url: of the server, its path prefix included.
        rate: requests a second, several with commas between them; `auto` seeks the highest that keeps `p99_ms`.
        seconds: time in which requests are due, of each rate.
        connections: the most that are open at one time.
        arrivals: `poisson` for independent callers, `even` for equal distances.
        model: name of the model; the server's default if null.
        version: of the model.
        inputs: file of rows: JSON, JSON lines, or a text a line; the documentation's example if null.
        rows: number of rows in a request.
        path: of another route, whose documented example is sent.
        p99_ms: longest 99th percentile for `rate=auto`, in milliseconds.
        warm_up_s: time in which requests are sent before any is counted.
        timeout_s: time after which a request has failed.
        out: folder for `load.json` and `load.png`; nothing is written if null.
    """

    url: str
    rate: str = "100"
    seconds: Positive = 10.0
    connections: Connections = 64
    arrivals: Literal["poisson", "even"] = "poisson"
    model: str | None = None
    version: str | None = None
    inputs: str | None = None
    rows: Count = 1
    path: str = "/v1/predictions"
    p99_ms: Positive = 50.0
    warm_up_s: Positive = 2.0
    timeout_s: Positive = 10.0
    out: str | None = None

    @property
    def rates(self) -> tuple[float, ...]:
        """The rates that are measured; none if they are to be found."""
        return () if self.rate == AUTO else tuple(map(float, self.rate.split(",")))

    @property
    def address(self) -> SplitResult:
        """The parts of the URL."""
        return urlsplit(self.url)


def settings_of(arguments: Sequence[str]) -> LoadSettings:
    """Reads arguments.

    Args:
        arguments: `key=value` each.

    Raises:
        ConfigError: a key is unknown or given twice, or a value does not fit; every fault has its line.
    """
    kinds = typing.get_type_hints(LoadSettings, include_extras=True)
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    known = [argument for argument in arguments if argument.partition("=")[0] in kinds and "=" in argument]
    if misplaced := [argument for argument in arguments if "=" not in argument]:
        raise ConfigError(_unknown(misplaced[0]))
    faults = [_unknown(argument) for argument in arguments if argument not in known]
    faults += repeated_keys(known)
    faults += [fault for key, value in given.items() if key in kinds and (fault := _misfit(key, value, kinds[key]))]
    if "url" not in given:
        faults.append("url is missing. Set e.g. url=http://127.0.0.1:8080.")
    if faults:
        raise ConfigError("\n".join(faults))
    return msgspec.convert(given, LoadSettings, strict=False)


def _unknown(argument: str) -> str:
    key, equals, _ = argument.partition("=")
    if not equals:
        return f"{shortened_value(argument)} is not key=value. Write e.g. url=http://127.0.0.1:8080."
    keys = [field.name for field in fields(LoadSettings)]
    return f"{shortened_value(key, '')} is not a setting of a load test.{nearest_of(key, keys)}"


def _misfit(key: str, value: str, kind: object) -> str:
    """Returns what is wrong with a value, or nothing."""
    if key == "url":
        return _wrong_url(value)
    if key == "rate":
        return _wrong_rate(value)
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        return f"{key} is {shortened_value(value)}; {required_by(kind) or error}. Run python -m maas.bench --help."
    return "" if value else f"{key} is empty. Leave it out, or set it."


def _wrong_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_right = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    hint = "Load is sent over http://, without TLS. Set e.g. url=http://127.0.0.1:8080."
    return "" if is_right else f"url is {shortened_value(url)}. {hint}"


def _wrong_rate(rate: str) -> str:
    try:
        is_right = rate == AUTO or all(0 < float(one) <= 1e6 for one in rate.split(","))
    except ValueError:
        is_right = False
    hint = "It must be requests a second above 0, several with commas between them, or auto."
    return "" if is_right else f"rate is {shortened_value(rate)}. {hint}"
