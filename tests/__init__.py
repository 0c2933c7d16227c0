"""Proof that gossipd keeps its promises; `python -m tests` runs everything."""

import os
import sys

# Hundreds of tests start processes of their own, each of which would compile the package anew
# where this is set, as it is in many containers.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
