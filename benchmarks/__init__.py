"""Measurements of the server under load, on this machine alone: ``make bench``. docs/benchmarks.md says how."""
