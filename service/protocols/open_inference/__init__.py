"""Room for the Open Inference Protocol, version 2."""
