"""The ``tensorgate`` command, one file a sub-command."""
