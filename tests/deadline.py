"""How long a test waits for what will come: a deadline only ends a test that fails, so it is far
beyond what a machine needs that is busy with other things."""

DEADLINE = 60.0
"""Seconds."""
