"""`maas.serve` with a model that takes 0.3 s a run once it is loaded."""

import time

from maas import serve
from maas.serving import dataplane

dataplane.INLINE_BELOW_S = 0.0
load = dataplane.DataPlane.load


def slow_load(plane, *arguments, **settings):
    model = load(plane, *arguments, **settings)
    run = model.batcher._run

    def slow_run(features):
        time.sleep(0.3)
        return run(features)

    model.batcher._run = slow_run
    return model


dataplane.DataPlane.load = slow_load
serve.main()
