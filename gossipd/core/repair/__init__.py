"""Pulling what a peer holds and this node does not, and when counts are complete."""
