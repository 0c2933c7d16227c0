"""Datagrams that only holders of a secret can read or make.

A node that is given a keyring seals what it sends with the first secret of it and opens what is
sealed with any of them; the frame (`frame.py`) takes the place of the core's checksum, so that the
protocol within does not change. The room knows secrets and bytes: no socket, no member, no clock.

A secret is 32 random bytes and is shown to nobody; people and nodes tell secrets apart by their
fingerprint, four bytes of a hash. What is known of whoever sealed a datagram is that it holds that
secret, not who it is: all holders trust each other.
"""
