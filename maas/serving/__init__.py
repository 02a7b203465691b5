"""The server: calls in, chunks out, around `maas.runtime`.

    bytes ─► transport (route, limits) ─► protocol.parse ─► call ─► engine (admit, preprocess, run) ─► chunks
          ◄─ transport (status)        ◄─ protocol.render ◄────────────────────────────────────────────┘

A repository holds deployments, each with an engine; what is served at one moment is a snapshot that never changes.
Nothing here trains, converts or downloads; torch, lightning, hydra, pandas, onnx and mlflow are never imported.
"""
