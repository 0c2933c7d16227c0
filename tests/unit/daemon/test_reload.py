"""What is read again while a node runs."""

from __future__ import annotations

import pytest

from gossipd.daemon.reload import Beside


@pytest.mark.parametrize("error", [ValueError("f: no"), RuntimeError("what nobody expected")])
def test_whatever_is_wrong_with_a_file_is_an_outcome(error: Exception) -> None:
    """Else the node would wait for one for ever, and never read anything again."""

    def read() -> None:
        raise error

    assert Beside("x", "f", read, lambda _: None).load() is error
