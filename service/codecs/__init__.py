"""Conversions between numpy arrays and wire formats, one format a file."""
