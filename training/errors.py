"""What can go wrong in a training run that its user can do something about.

TrainingError            the input or an option is not usable
└── PublicationRefusedError   the model is sound, but not good enough to replace what is there
"""


class TrainingError(Exception):
    """The run cannot go on; the message is one sentence for the person who started it."""


class PublicationRefusedError(TrainingError):
    """The quality gate found the new model worse than what it must not fall behind."""
