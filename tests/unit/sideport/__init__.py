"""Tests of the side port over real sockets, with a fake daemon behind it."""
