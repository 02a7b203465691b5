"""TensorFlow Serving's protocol, over REST and gRPC."""
