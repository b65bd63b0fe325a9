"""REST: routes, bodies and errors, and the server that carries them."""
