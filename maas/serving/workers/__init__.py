"""Several processes behind one port: a supervisor that opens no model, and workers that serve.

    supervisor ── binds the sockets, starts workers, replaces those that die, reads the registry for all of them
      ├── worker ─┐
      ├── worker ─┼─ each accepts from the one listening socket, and has models, queues and limits of its own
      └── worker ─┘

Each worker has a control channel to the supervisor (`worker_channel.py`); what one of them is requested to change, it
broadcasts to all (`maas/serving/peers.py`). The supervisor's modules import neither ONNX Runtime nor a transport.
"""
