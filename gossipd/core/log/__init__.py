"""The replicated log of increments: registers, versions, keys, and how own ones enter it."""
