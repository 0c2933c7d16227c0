"""The process: sockets, clock and signals around one core."""
