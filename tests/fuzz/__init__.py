"""Hostile bytes: programs that run as long as asked, and short runs of them as tests."""
