"""What a node is started with: options, their file, their defaults."""
