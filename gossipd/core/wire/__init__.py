"""What nodes say to each other, and how it is written in a datagram."""
