"""Room for TensorFlow Serving's own API."""
