"""Roll-outs: which version of a model answers a request that names none, and what is kept of that decision.

`records.py` is what an administrator writes; `assignment.py`, `judging.py` and `comparing.py` are the rules; `arms.py`
applies them to what is served, `shadowing.py` sends copies, `state.py` keeps it all, and `rollouts.py` is what the
server holds.
"""
