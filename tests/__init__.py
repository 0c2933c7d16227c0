"""Proof that gossipd keeps its promises; `python -m tests` runs everything."""
