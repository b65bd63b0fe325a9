"""The decoders that are attacked, one kind of format a file; `TARGETS` has all of them."""
