"""Raw input to prediction, in one place: processor, ONNX Runtime, postprocessor.

Training data, the evaluation after export, notebooks, MLflow and the server all go through `Predictor`. This package
needs numpy, onnxruntime and what its processors name; it never imports torch, and it never loads a pickle.
"""
