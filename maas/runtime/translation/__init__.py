"""A text made of another one, or of a sound: a graph reads it, a graph writes the next token, a search chooses them.

It needs numpy and onnxruntime, and tokenizers for what reads texts; never torch. It knows no queue and no protocol.
"""
