"""The seam: the few types in which transports and protocols meet; neither knows the other."""
