"""The API families, one package each: they decode a request, call the core and encode its answer."""
