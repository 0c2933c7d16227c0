"""Laws that hold for all inputs, on generated ones."""
