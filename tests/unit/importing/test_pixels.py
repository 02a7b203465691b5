"""Pixels are scaled and turned alike by numpy and in a graph."""

import numpy as np
import onnxruntime as ort
import pytest

from maas.importing.pixels import PixelScaling
from maas.onnx_graphs.building import GraphBuilder, declared, model_of_nodes

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize("channels_first", [True, False])
@pytest.mark.parametrize(("mean", "deviation"), [((0.0,), (1.0,)), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
def test_pixels_are_the_formulas_when_numpy_and_graph_prepare_them(channels_first, mean, deviation):
    pixels = PixelScaling(mean=mean, deviation=deviation, channels_first=channels_first)
    expected = (PICTURES / 255 - np.array(mean)) / np.array(deviation)
    expected = np.moveaxis(expected, 3, 1) if channels_first else expected
    builder = GraphBuilder("model_inputs")
    builder.add("Identity", pixels.add_nodes(builder, "pixels"), result="prepared")
    model = declared(
        model_of_nodes(builder, opset=20), {"pixels": PICTURES}, {"pixels": {0: "batch"}}, "prepared", [None] * 3
    )
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(pixels.prepared(PICTURES), expected, atol=1e-5)
    np.testing.assert_allclose(session.run(None, {"pixels": PICTURES})[0], expected, atol=1e-5)
    assert pixels.prepared(PICTURES).dtype == np.float32
