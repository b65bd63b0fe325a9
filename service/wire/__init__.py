"""Generated, wire-compatible subsets of upstream protocols (``make protos``)."""
