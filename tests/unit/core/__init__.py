"""Tests of the core, module by module: values and bytes in, values and bytes out."""
