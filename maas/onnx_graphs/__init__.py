"""All surgery on ONNX graphs, whoever made them: read, built, cleaned, converted, quantised, run, written."""
