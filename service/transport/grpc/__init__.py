"""gRPC: what a call means, once; and the two servers that carry it."""
