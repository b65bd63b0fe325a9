"""The backend that runs models on TensorFlow Serving replicas; imports no tensorflow."""
