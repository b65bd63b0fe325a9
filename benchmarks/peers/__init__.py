"""Scripts that start the peers, each run by the interpreter of that peer's own environment; none imports the project."""
