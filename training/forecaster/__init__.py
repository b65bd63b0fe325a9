"""Forecasters: an LSTM over the recent past of a series."""
