"""Serves models over HTTP.

usage: python -m maas.serve model=MODEL [model=MODEL …] [key=value …]

    model            a bundle's folder, or models:/NAME@ALIAS, models:/NAME/VERSION or models:/*@ALIAS in the registry;
                     several times for several models, and model=NAME=MODEL for a name of your own
    models           a YAML file of models, each with settings of its own (docs/serving.md)
    default          name of the model that answers where a request names none (the first)
    watch_s          seconds within which a moved alias of the registry is followed; 0 follows none (10)
    workers          processes that serve, behind one port; each has queues and limits of its own (1)
    host             the address to listen on (127.0.0.1)
    port             the port; 0 picks a free one (8080)
    grpc_port        port of the protocols over gRPC; 0 picks a free one (none)
    admin_port       port of administration: models and roll-outs; 0 picks a free one (none)
    admin_host       the address of that port (127.0.0.1)
    batch_size       the most rows in one run of a model (the bundle's)
    threads          ONNX Runtime's threads in one run (the bundle's)
    cores            processors for several runs of a model at one time (all, divided among the workers)
    max_beams        the most beams of a text, where a model searches for it; each counts as a row of a run (8)
    context_length   the most tokens of a prompt and its text, where a model generates (the model's)
    max_queue        the most rows that may wait for a model; a request takes at most half of them (2048)
    max_wait_s       seconds that rows may wait for a model, by how long its latest runs took (no limit)
    max_memory_bytes the most bytes of all models that are loaded by their first request (no limit)
    max_body_bytes   the most bytes of a request's body (8388608)
    max_total_bytes  the most bytes of all bodies in memory at one time (67108864)
    max_connections  the most connections at one time; another one is answered by 503 (4096)
    cors_origins     origins whose pages may read replies, with commas between them; * for all of them (none)
    max_pixels       the most pixels of a picture (50000000)
    state            a folder that keeps roll-outs (in memory alone)
    access_log       true writes one JSON line a request to stderr (false)
    log_format       text, or json for all lines of the log (text)

Environment variables set the same, e.g. MAAS_PORT=9000; MAAS_MODEL takes several models with blanks between them. The
command line comes before them.

example: python -m maas.serve model=runs/sentiment_zh/latest/bundle port=8080
"""

import os
import sys
from collections.abc import Sequence

from maas.errors import MaasError
from maas.serving.arguments import settings_from, variables_in
from maas.serving.observers.log_format import LogFormat, json_line
from maas.serving.stopping import exit_when_stopped


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `python -m maas.serve`; a wrong argument or model prints one line and exits with status 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if set(arguments) & {"-h", "--help", "help"} or not (arguments or variables_in(os.environ)):
        print(__doc__.strip() if __doc__ else "")
        return
    log_format: LogFormat = "text"
    try:
        settings = settings_from(arguments, os.environ)
        log_format = settings.log_format
        exit_when_stopped()
        if settings.workers > 1:
            from maas.serving.workers.supervisor import supervise  # noqa: PLC0415  a single process needs none

            supervise(settings)
        from maas.serving.transports.process import serve  # noqa: PLC0415  a supervisor needs no ONNX Runtime

        serve(settings)
    except MaasError as error:
        print(error if log_format == "text" else json_line("critical", str(error)), file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
