"""Tests of the simulator's own code."""
