"""Roll-outs: which version of a model answers a request that names none, and what is kept of that decision.

`records.py` is what an administrator writes, `edits.py` how that changes, `state.py` keeps it. `assignment.py` and
`returning.py` are the rules; `arms.py` applies them to what is served, `observing.py` and `watching.py` note what comes
of it, `shadowing.py` sends copies. `rollouts.py` is what the server holds.
"""
