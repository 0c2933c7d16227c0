"""Whole clusters in a fake world: real cores, virtual time, one seed."""
