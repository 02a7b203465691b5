"""Runs in the checkout that is measured: records which of its functions are on the stack at two places.

`trace_hops.py CHECKOUT OUT.json training` and `trace_hops.py CHECKOUT OUT.json request BUNDLE`; `measure_house.py`
starts both. The last call counts: the doctor's smoke run comes before the training.
"""

import asyncio
import concurrent.futures
import contextvars
import functools
import http.client
import importlib
import inspect
import json
import os
import pkgutil
import re
import runpy
import sys
import threading
from pathlib import Path

root, out, what = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
started_by = contextvars.ContextVar("started_by", default=())


def stack():
    found, frame = [], sys._getframe(1)
    while frame:
        code = frame.f_code
        if code.co_filename.startswith(f"{root / 'maas'}{os.sep}") and code.co_name != "<module>":
            found.append(f"{Path(code.co_filename).relative_to(root).as_posix()} {code.co_qualname}")
        frame = frame.f_back
    return (*started_by.get(), *reversed(found))


def keep(found):
    out.write_text(json.dumps(list(dict.fromkeys(found))))


def trace_training():
    from lightning.pytorch import Trainer

    original = Trainer.fit

    def fit(*args, **kwargs):
        keep(stack())
        return original(*args, **kwargs)

    Trainer.fit = fit
    sys.argv = ["maas.train", "recipe=digits_mlp", "trainer.max_epochs=1", "runs_dir=runs", "registry=null"]
    runpy.run_module("maas.train", run_name="__main__", alter_sys=True)


def inherited(call, found):
    @functools.wraps(call)
    def wrapped(*args, **kwargs):
        token = started_by.set(found)
        try:
            return call(*args, **kwargs)
        finally:
            started_by.reset(token)

    return wrapped


class Loop(asyncio.SelectorEventLoop):
    def call_soon(self, callback, *args, context=None):
        code = getattr(callback, "__code__", None)
        if code and code.co_filename.startswith(str(root / "maas")):
            callback = inherited(callback, stack())
        return super().call_soon(callback, *args, context=context)


def task_factory(loop, coroutine, context=None, **more):
    context = context or contextvars.copy_context()
    context.run(started_by.set, stack())
    return asyncio.Task(coroutine, loop=loop, context=context)


def trace_request():
    import uvloop

    from maas.serving.transports import process
    from maas.serving.transports.http1 import Http1Connection

    def answering(server):
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(ask(server))

    def captured(server):
        thread = threading.Thread(target=answering, args=(server,))  # its stack begins with the request
        thread.start()
        thread.join()
        sys.exit(0)

    uvloop.run, process.serve_until_stopped = captured, lambda server: server
    Http1Connection.data_received = inherited(Http1Connection.data_received, ())  # not how it was connected
    original = concurrent.futures.ThreadPoolExecutor.submit

    def submit(self, call, /, *args, **kwargs):
        return original(self, inherited(call, stack()), *args, **kwargs)

    concurrent.futures.ThreadPoolExecutor.submit = submit
    sys.argv = ["maas.serve", f"model={sys.argv[4]}", "port=0"]
    runpy.run_module("maas.serve", run_name="__main__", alter_sys=True)


def watch_processors():
    import maas.runtime.processors as package

    for name in [one.name for one in pkgutil.iter_modules(package.__path__)]:
        module = importlib.import_module(f"{package.__name__}.{name}")
        own = [one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == module.__name__]
        for kind in own:
            methods = [one for one in ("preprocess", "encode") if inspect.isfunction(vars(kind).get(one))]
            if methods:
                watch(kind, methods[0])


def watch(kind, name):
    original = vars(kind)[name]
    where = f"{Path(original.__code__.co_filename).relative_to(root).as_posix()} {original.__qualname__}"

    def preprocess(*args, **kwargs):
        keep((*stack(), where))
        return original(*args, **kwargs)

    setattr(kind, name, preprocess)


async def ask(server):
    asyncio.get_running_loop().set_task_factory(task_factory)
    address = re.search(r"http://([\d.]+):(\d+)", await server.start())
    watch_processors()
    body = json.dumps({"input_data": [[0.0] * 64]})
    assert await asyncio.to_thread(status_of, address[1], int(address[2]), body) == 200
    await server.stop()


def status_of(host, port, body):
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request("POST", "/predict", body, {"content-type": "application/json"})
    return connection.getresponse().status


trace_training() if what == "training" else trace_request()
