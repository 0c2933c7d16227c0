"""What a client trusts and shows, and what it says where that is of no use."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from gossipd.client.credentials import Credentials
from gossipd.client.secure import UnusableError, context, said
from tests.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_hosts_are_verified_and_a_certificate_is_shown(authority: Authority) -> None:
    pair = authority.issue("a")
    made = context(Credentials("", str(authority.cert), str(pair.cert), str(pair.key)))
    assert made.check_hostname
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert made.minimum_version is ssl.TLSVersion.TLSv1_2
    assert len(made.get_ca_certs()) == 1


def test_what_is_shown_to_others_has_no_token() -> None:
    shown = Credentials("secret", "ca", "cert", "key")
    assert shown.of_tls == Credentials("", "ca", "cert", "key")


@pytest.mark.parametrize("key", ["other", "locked", "text", "none"])
def test_files_that_are_of_no_use_are_named(
    authority: Authority, tmp_path: Path, key: str
) -> None:
    pair = authority.issue("a")
    authority.issue("other")
    authority.issue("locked", password=b"secret")
    (tmp_path / "text.key").write_text("hello")
    words = {
        "other": f"{pair.cert}: {tmp_path}/other.key is not its key",
        "locked": f"{tmp_path}/locked.key: is encrypted; decrypt it",
        "text": f"{pair.cert}: no certificate in it, or no key (PEM)",
        "none": f"{pair.cert} (or {tmp_path}/none.key): No such file or directory",
    }
    with pytest.raises(UnusableError) as caught:
        context(Credentials("", str(authority.cert), str(pair.cert), f"{tmp_path}/{key}.key"))
    assert str(caught.value) == words[key]


def test_a_certificate_without_its_key_says_how_to_name_that(authority: Authority) -> None:
    with pytest.raises(UnusableError, match="name the file of its key with --cert-key"):
        context(Credentials(cert=str(authority.issue("a").cert)))


@pytest.mark.parametrize("name", ["none", "text"])
def test_cas_that_are_none_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UnusableError, match=f"^{tmp_path}/{name}: "):
        context(Credentials("", str(tmp_path / name)))


def test_what_is_not_known_is_said_as_it_comes() -> None:
    error = ssl.SSLError(1, "[SSL: NO_SHARED_CIPHER] no shared cipher (_ssl.c:1)")
    error.reason = "NO_SHARED_CIPHER"
    assert said(error) == "does not agree on TLS: no shared cipher"
    assert said(ConnectionResetError()) is None
    assert said(ssl.SSLEOFError()) is None
