"""Deliberately broken cores, and runs in which checkers catch them (see `test_mutants`)."""
