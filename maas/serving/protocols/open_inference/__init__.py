"""The Open Inference Protocol, version 2, with Triton's extensions, over REST and gRPC."""
