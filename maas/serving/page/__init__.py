"""The page `/`: a person chooses a model, gives it an input, and sees the prediction and what it rests on.

Its files lie in `static/`, plain HTML, CSS and JavaScript as a browser reads them. It speaks to the server by the
operations that every other client uses, at addresses relative to its own, so that it works under any path prefix.
"""
