"""Text that is generated token by token: a decoder that keeps keys and values, sampling, and tokens made text.

It needs numpy, onnxruntime and tokenizers, and jinja2 where a prompt is a conversation; never torch. It knows no queue
and no protocol: whoever serves joins streams to a `DecodingBatch` and takes steps.
"""
