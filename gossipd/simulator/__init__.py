"""A fake world around the real core: virtual time, a faulty network, one seed."""
