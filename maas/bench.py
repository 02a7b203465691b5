"""Tests a server under load: each request is due at a time of its own, and its latency counts from that moment.

usage: python -m maas.bench url=URL [key=value …]

    url           the server, with its path prefix if it has one, e.g. http://127.0.0.1:8080
    rate          requests a second, several with commas between them; auto seeks the highest that keeps p99_ms (100)
    seconds       how long each rate is measured (10)
    connections   the most connections (64)
    arrivals      poisson, as independent callers come, or even (poisson)
    model         name of the model (the server's default)
    version       of the model
    inputs        a file of rows: .json, .jsonl, or a text a line (the example of the server's documentation)
    rows          rows in a request (1)
    path          another route, whose documented example is sent (/v1/predictions)
    p99_ms        the longest 99th percentile for rate=auto (50)
    warm_up_s     how long requests are sent before any is counted (2)
    timeout_s     after which a request has failed (10)
    out           a folder for load.json and load.png
    --json        prints what load.json holds; the table goes to standard error

example: python -m maas.bench url=http://127.0.0.1:8080 rate=100,200,400 out=load
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from maas.command_line import JSON_FLAG
from maas.errors import ConfigError
from maas.load_testing.generator import Generator
from maas.load_testing.measurement import Load
from maas.load_testing.rates import measured_loads
from maas.load_testing.report import headline, record_of, table_line, verdict
from maas.load_testing.settings import LoadSettings, settings_of
from maas.load_testing.target import LoadTarget, load_target
from maas.outcomes import VerbOutcome, give, reported, say, wants_json


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `python -m maas.bench`; a wrong argument or a server that is away prints a line, with status 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or set(arguments) & {"-h", "--help", "help"}:
        say((__doc__ or "").strip())
        return
    is_json = wants_json(arguments)
    with reported("bench", is_json=is_json, resumes=False):
        _test(settings_of([one for one in arguments if one != JSON_FLAG]), is_json=is_json)


def _test(settings: LoadSettings, *, is_json: bool) -> None:
    """Measures all rates, prints a line for each, and writes files."""
    folder = None if settings.out is None else _made(Path(settings.out))
    target = load_target(settings)
    lines = sys.stderr if is_json else sys.stdout
    print(headline(settings, target), flush=True, file=lines)
    generator = Generator(target, settings.connections, settings.timeout_s)
    loads = []
    try:
        for load in measured_loads(settings, generator):
            print(table_line(load), flush=True, file=lines)
            loads.append(load)
    finally:
        generator.close()
    written = [] if folder is None else list(_written(folder, settings, target, loads))
    ending = [] if settings.rates else [verdict(settings, loads)]
    give(VerbOutcome(record_of(settings, target, loads), "\n".join([*ending, *written])), is_json=is_json)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"out={folder} cannot be made: {error.strerror}.") from error
    return folder


def _written(folder: Path, settings: LoadSettings, target: LoadTarget, loads: Sequence[Load]) -> Iterator[str]:
    """Writes numbers and a picture, and yields a line for each."""
    record = msgspec.json.format(msgspec.json.encode(record_of(settings, target, loads)), indent=1)
    (folder / "load.json").write_bytes(record + b"\n")
    yield str(folder / "load.json")
    try:
        from maas.evidence.latency_plots import LatencyCurve, latency_picture  # noqa: PLC0415 - matplotlib is an extra
    except ModuleNotFoundError as missing:
        yield f"{(missing.name or '').partition('.')[0]} is not installed, so no picture was drawn."
        return
    curves = [LatencyCurve(f"{load.rate:.0f}/s", load.latencies_ms) for load in loads]
    yield str(latency_picture(curves, f"{settings.url}{settings.path}", folder / "load.png"))


if __name__ == "__main__":
    main()
