"""Several processes that serve as one: a supervisor that starts them, and each one's end of the line to it."""
