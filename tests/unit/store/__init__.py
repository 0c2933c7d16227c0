"""The store: one SQLite file, and the memory that keeps nothing."""
