"""Tests of the simulator's own code: that each fault does what it says, and nothing else."""
