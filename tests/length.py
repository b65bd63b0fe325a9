"""How long tests take that find more the longer they run."""

import os

SECONDS = float(os.environ.get("TENSORGATE_TEST_SECONDS", "10"))
"""About as many each; more are for those who have changed what such a test is about."""
