"""The server: bytes in, bytes out, around `maas.runtime`.

    bytes ─► app (route, size) ─► dialect.parse ─► data plane ─► batcher ─► Predictor ─► dialect.render ─► bytes

Nothing here trains, converts or downloads; torch, lightning, hydra, pandas, onnx and mlflow are never imported.
"""
