"""Hostile peers that speak the wire with the project's own encoder: programs, and what they show.

Each module is one kind of attack, in the simulator or against real nodes. As a program it prints
what became of it; all together are a table, before and after:

    python -m tests.fuzz.attacks.oneself
    python -m tests.fuzz.attacks [--real]
"""
