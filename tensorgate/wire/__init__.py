"""Generated subsets of upstream protocols, which the client sends and reads beside the typed API (``make protos``)."""
