"""Forecasts of real series, beside those of statistical models and of a library of neural ones."""
