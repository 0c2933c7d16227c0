"""What there is to tell, to whom, and what goes into a datagram."""
