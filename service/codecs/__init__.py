"""Conversions between numpy arrays and what travels: one format a file."""
