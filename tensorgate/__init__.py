"""What clients of Tensorgate import: the generated stubs of the typed API, in ``tensorgate.v1``."""
