"""What is built of a checkout: all there is to install, and with the source all that checks it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest
from flit_core import buildapi

ROOT = Path(__file__).parents[2]
SECRETS = "configs/three-hosts/tokens"


def files_of(folder: str) -> set[str]:
    """All that the checkout has there, but for what was made of it and where it was tried."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    } - {SECRETS}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution, unpacked."""
    directory = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        name: str = buildapi.build_sdist(str(directory))
    subprocess.run(("tar", "-xf", directory / name, "-C", directory), check=True)
    return directory / name.removesuffix(".tar.gz")


def test_the_source_has_all_that_checks_it(source: Path) -> None:
    wanted = {"README.md", "LICENSE", "pyproject.toml", ".ci/run"}
    for folder in "gossipd", "tests", "configs", "systemd":
        wanted |= files_of(folder)
    assert [name for name in sorted(wanted) if not (source / name).is_file()] == []
    assert os.access(source / ".ci/run", os.X_OK)


def test_a_wheel_of_the_source_has_the_whole_package_and_nothing_else(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source)
    with ZipFile(tmp_path / buildapi.build_wheel(str(tmp_path))) as wheel:
        installed = {name for name in wheel.namelist() if ".dist-info/" not in name}
        assert installed == files_of("gossipd")
        for unit in ROOT.glob("systemd/*.s*"):
            assert wheel.read(f"gossipd/systemd/{unit.name}") == unit.read_bytes()
