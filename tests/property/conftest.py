"""How hypothesis runs here: the same examples every time, no clock, nothing kept on disk.

`--hypothesis-profile=search` looks for new examples instead; what it finds becomes a test.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("replay", derandomize=True, deadline=None, database=None)
settings.register_profile("search", deadline=None, database=None, print_blob=True)
settings.load_profile("replay")
