"""Models from where they lie: stores of versions, and the mirror that brings them into a folder of this machine."""
