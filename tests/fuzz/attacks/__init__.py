"""Hostile peers that speak the wire, against real nodes."""
