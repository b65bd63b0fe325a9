"""Attacks on this server by inputs made up at random: ``make fuzz``. docs/fuzzing.md says how.

The models that are asked, the valid messages and what changes them a little are those of the tests.
"""
