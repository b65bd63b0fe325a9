"""Turns data into versioned SavedModels that carry their own pre- and post-processing."""
