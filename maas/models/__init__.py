"""Nets: plain `nn.Module`, one family a file. They know nothing of training, data or ONNX."""
