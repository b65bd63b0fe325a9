"""What can be wrong with a file of series."""


class TableError(Exception):
    """The file, or how it is said to be read, is not usable; the message is one sentence for who gave it."""
