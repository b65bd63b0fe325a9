"""Scripts that start the peers, each run by the interpreter of that peer's environment; none imports the project."""
