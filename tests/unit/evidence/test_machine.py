"""Where something was measured."""

import onnxruntime
import psutil

from maas.evidence.machine import this_machine


def test_machine_is_this_one_when_it_is_described():
    machine = this_machine()
    assert machine.processor
    assert machine.cores == psutil.cpu_count()
    assert machine.memory_bytes == psutil.virtual_memory().total
    assert machine.onnxruntime == onnxruntime.__version__
