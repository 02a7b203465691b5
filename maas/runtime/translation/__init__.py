"""One text made of another: a graph reads the given text, a graph writes the next token, a search chooses the tokens.

It needs numpy and onnxruntime, and tokenizers for what reads texts; never torch. It knows no queue and no protocol.
"""
