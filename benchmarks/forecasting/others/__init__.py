"""Scripts that forecast as others do, each run by the interpreter of an environment of its own, without the project."""
