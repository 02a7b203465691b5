"""Checkpoint to bundle: writing ONNX in a process of its own, and drawing up what leaves."""
