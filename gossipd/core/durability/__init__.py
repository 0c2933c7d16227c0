"""What is to be stored, what is stored, here and on other nodes."""
