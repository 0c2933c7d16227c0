"""What a node loads only when it is needed, and whose files may be gone by then."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import pytest

from gossipd.config.config import Config
from gossipd.core import Refused, Why
from gossipd.daemon.given import keyring_of
from gossipd.daemon.metrics import Metrics, Sources
from gossipd.sealing.keyring import Secret
from gossipd.version import REPLACED


def test_a_first_secret_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keyring"
    file.touch(0o600)
    file.write_text(f"{Secret.fresh().text}\n")
    assert keyring_of(Config(keyring=str(file)))
    monkeypatch.delattr("gossipd.sealing.frame", raising=False)
    monkeypatch.setitem(sys.modules, "gossipd.sealing.frame", None)
    with pytest.raises(ValueError, match=f"^nothing can be sealed: .*; {REPLACED}$"):
        keyring_of(Config(keyring=str(file)))


async def test_metrics_without_their_library_are_unavailable_and_no_bug(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    metrics = Metrics(cast(Sources, None))  # of which nothing is read
    with pytest.raises(Refused, match=REPLACED) as refused:
        await metrics.scrape(None, "")
    assert refused.value.why is Why.UNAVAILABLE
