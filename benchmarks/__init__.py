"""Measurements of the server under load, by h2load, on this machine alone."""
