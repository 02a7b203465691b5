"""Source to bundle: writing ONNX in a separate process, building the bundle, proving it."""
