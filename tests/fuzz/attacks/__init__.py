"""Hostile peers that speak the wire with the project's own encoder: programs, and what they show.

Each module is one kind of attack. As a program it prints what became of every attack of it:

    python -m tests.fuzz.attacks.reflection
"""
