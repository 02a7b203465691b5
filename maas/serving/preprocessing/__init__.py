"""Large inputs are read and preprocessed by a process of their own, so that no caller waits for another one's body.

A thread would not do: reading JSON or base64 holds the interpreter's lock, and with it the event loop.
"""
