"""Load and faults, with figures: what must hold while something fails, and what was measured of it."""
