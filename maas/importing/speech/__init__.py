"""Pretrained models that write down speech: Whisper, as transformers or CTranslate2 keeps it."""
