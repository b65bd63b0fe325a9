"""Asks servers what was recorded, and compares their answers."""
