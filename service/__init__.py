"""Tensorgate's gateway: takes gRPC and REST requests, checks them, and runs them on a backend."""

__version__ = "0.1.0"
