"""`maas.serve` with a model whose runs never end, and little patience when it is stopped."""

import dataclasses
import time

from maas import serve
from maas.serving.engines.batch import BatchEngine
from maas.serving.transports import assembling, server

init = BatchEngine.__init__


def stuck_init(engine, predictor, costs, lane, **settings):
    init(engine, predictor, dataclasses.replace(costs, shortest_run_s=0.3), lane, **settings)
    engine._runs.run = lambda features: time.sleep(3600)


BatchEngine.__init__ = stuck_init
assembling.GRACE_S = server.GRACE_S = 0.3
assembling.LEAST_CLOSING_S = assembling.STUCK_S = 0.3
serve.main()
