"""`maas.serve` with a model that takes 0.3 s a run once it is loaded, one run at a time."""

import dataclasses
import time

from maas import serve
from maas.serving.engines.batch import BatchEngine

init = BatchEngine.__init__


def slow_init(engine, predictor, costs, lane, **settings):
    slow = dataclasses.replace(costs, shortest_run_s=0.3)
    init(engine, predictor, slow, lane, **settings | {"cores": None})
    run = engine._runs.run

    def slow_run(features):
        time.sleep(0.3)
        return run(features)

    engine._runs.run = slow_run


BatchEngine.__init__ = slow_init
serve.main()
