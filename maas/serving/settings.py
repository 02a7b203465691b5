"""What can be chosen when a server is started. It reads no command line and starts nothing."""

import msgspec

from maas.bounds import BatchSize, BeamCount, Count, NonNegative, Port, Positive, Threads, Tokens, Workers
from maas.serving.observers.log_format import LogFormat


class ServerSettings(msgspec.Struct, frozen=True):
    """What can be chosen when a server is started.

    Args:
        model: a bundle's folder, `models:/name@alias` or `models:/name/3` in the registry, each also as
            `name=…` with a name that you choose.
        models: a YAML file of models, each with settings of its own.
        default: name of the model that answers where a request names none; the first if null.
        watch_s: time within which a moved alias of the registry is followed, in seconds; 0 follows none.
        workers: processes that serve, behind one port; each has queues and limits of its own.
        host: the address to listen on; 0.0.0.0 for every network.
        port: 0 picks a free one.
        grpc_port: port of the protocols over gRPC; 0 picks a free one, null serves no gRPC.
        admin_port: port where models and roll-outs are administered; 0 picks a free one, null for none.
        admin_host: the address of that port; whoever reaches it may change what is served.
        batch_size: the most rows in one run, instead of the bundle's.
        threads: ONNX Runtime's threads in one run, instead of the bundle's.
        cores: processors for several runs of a model at one time; null for all, divided among the workers.
        max_beams: the most beams of a text, where a model searches for it; no more than rows in one run.
        context_length: the most tokens of a prompt and its text, where a generating model's own context is longer.
        max_queue: the most rows that may wait for a model; a request takes at most half of them.
        max_wait_s: seconds that rows may wait for a model, by how long its latest runs took; null for no limit.
        max_memory_bytes: the most bytes of all models that are loaded by their first request; null for no limit.
        max_body_bytes: largest size of a request's body, in bytes.
        max_total_bytes: largest size of all bodies that are in memory at one time, in bytes.
        max_connections: the most connections at one time; another one is answered by 503.
        cors_origins: origins whose pages may read replies, such as https://app.example.org, separated by commas; * for
            all of them.
        max_pixels: largest picture that is decoded, in pixels; formats other than JPEG have lower limits of their own.
        state: folder that keeps roll-outs; null keeps them in memory alone.
        access_log: write one JSON line a request to stderr.
        log_format: form of all other lines on stderr.
    """

    model: tuple[str, ...] = ()
    models: str | None = None
    default: str | None = None
    watch_s: NonNegative = 10.0
    workers: Workers = 1
    host: str = "127.0.0.1"
    port: Port = 8080
    grpc_port: Port | None = None
    admin_port: Port | None = None
    admin_host: str = "127.0.0.1"
    batch_size: BatchSize | None = None
    threads: Threads | None = None
    cores: Count | None = None
    max_beams: BeamCount = 8
    context_length: Tokens | None = None
    max_queue: Count = 2048
    max_wait_s: Positive | None = None
    max_memory_bytes: Count | None = None
    max_body_bytes: Count = 8 * 2**20
    max_total_bytes: Count = 64 * 2**20
    max_connections: Count = 4096
    cors_origins: str = ""
    max_pixels: Count = 50_000_000
    state: str | None = None
    access_log: bool = False
    log_format: LogFormat = "text"
