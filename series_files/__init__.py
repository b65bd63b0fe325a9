"""Reads series from files as people have them: for training, and for the command that asks for a forecast.

Imports neither training nor the service.
"""
