"""A pair that can be used, and when it is told that it ends."""

from __future__ import annotations

import re
import ssl
import time
from pathlib import Path

import pytest

from gossipd.daemon.certificates import (
    SOON,
    Certificate,
    Certificates,
    load_certificate,
    what_is_wrong,
)
from gossipd.daemon.troubles import Troubles
from gossipd.sideport.tls import Tls
from tests.certificates import Authority

DAY = 86_400.0
NOW = 1_000_000_000.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("with_rsa", [False, True])
def test_a_pair_is_read_with_its_end(authority: Authority, with_rsa: bool) -> None:
    pair = authority.issue("a", "a.example", days=50, with_rsa=with_rsa)
    found = load_certificate(str(pair.cert), str(pair.key), None)
    assert abs(found.ends_at - time.time() - 50 * DAY) < 60
    assert abs(found.lifetime - 80 * DAY) < 60
    assert found.context.verify_mode is ssl.CERT_NONE
    assert found.context.minimum_version is ssl.TLSVersion.TLSv1_2
    with_ca = load_certificate(str(pair.cert), str(pair.key), str(authority.cert))
    assert with_ca.context.verify_mode is ssl.CERT_REQUIRED


def test_both_may_stand_in_one_file_and_what_ends_first_counts(
    authority: Authority, tmp_path: Path
) -> None:
    pair, sooner = authority.issue("b", days=50), authority.issue("c", days=5)
    both = tmp_path / "both.pem"
    both.touch(0o600)
    both.write_bytes(b"".join(f.read_bytes() for f in (pair.cert, sooner.cert, pair.key)))
    found = load_certificate(str(both), None, None)
    assert abs(found.ends_at - time.time() - 5 * DAY) < 60


@pytest.mark.parametrize(
    ("ca", "words"), [("none", "cannot be read: No such file"), ("text", "no certificate in it")]
)
def test_cas_of_clients_that_are_none_are_told(
    authority: Authority, tmp_path: Path, ca: str, words: str
) -> None:
    pair = authority.issue("d")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ValueError, match=f"^{tmp_path / ca}: {words}"):
        load_certificate(str(pair.cert), str(pair.key), str(tmp_path / ca))


@pytest.mark.parametrize(
    ("left", "lifetime", "told"),
    [
        (SOON + 1, 365 * DAY, None),
        (SOON - 1, 365 * DAY, r"/a expires in 14 days \(2001-09-2\d"),
        (6 * DAY, 7 * DAY, None),
        (DAY, 7 * DAY, "/a expires in 24 h"),
        (0.0, 365 * DAY, r"/a has expired \(2001-09-09"),
        (-DAY, 365 * DAY, "/a has expired"),
    ],
)
def test_an_end_is_told_before_it_comes(left: float, lifetime: float, told: str | None) -> None:
    certificate = Certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "/a", NOW + left, lifetime)
    found = what_is_wrong(certificate, NOW)
    assert found is None if told is None else re.search(told, found or ""), found


async def test_the_end_of_the_present_one_is_an_alarm() -> None:
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(3)]
    tls, troubles = Tls(contexts[0], 8), Troubles()
    kept = Certificates(tls, troubles, lambda: None)
    kept.take(Certificate(contexts[1], "/a", time.time() - 1, 365 * DAY))
    assert "has expired" in troubles.texts[0]
    kept.take(Certificate(contexts[2], "/a", time.time() + 100 * DAY, 365 * DAY))
    assert troubles.texts == []
    assert tls.context is contexts[2]
    assert tls.ends_at > time.time()
    kept.stop()
