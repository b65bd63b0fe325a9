"""Generated messages and stubs of the package ``tensorgate.v1`` (``make protos``)."""
