"""Where the API listens, and how clients get there: several addresses, Unix sockets."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.e2e.cluster import Cluster
from tests.e2e.node import gossipd, until
from tests.e2e.programs import program


def run(*command: str, said: str = "") -> str:
    return subprocess.run(
        command, input=said, capture_output=True, text=True, timeout=20, check=True
    ).stdout


@program("redis-cli", "redis-tools")
@program("curl", "curl")
@program("nc", "netcat-openbsd")
def test_a_node_is_reached_by_each_of_its_addresses(cluster: Cluster, tmp_path: Path) -> None:
    """By whoever has a way to name a Unix socket; its file outlives a kill, and not a stop."""
    node = cluster.add()
    here, open_to_all = tmp_path / "api.sock", tmp_path / "open.sock"
    own = f"{node.api[0]}:{node.api[1]}"
    apis = [own, f"unix:{here}", f"unix:{open_to_all}?mode=0666"]
    options = [part for api in apis for part in ("--api", api)]
    node.start(*options)
    until(lambda: node.ready, 20, "it is ready")
    assert node.status()["api"] == apis
    assert [file.stat().st_mode & 0o777 for file in (here, open_to_all)] == [0o660, 0o666]

    assert run("nc", "-N", "-U", str(here), said="increment\n") == "1\n"
    assert run("redis-cli", "-s", str(here), "incr", "default") == "2\n"
    counted = run("curl", "-s", "--unix-socket", str(open_to_all), "http://gossipd/count")
    assert '"count": 2' in counted
    assert gossipd("increment", GOSSIPD_API=f"unix:{here}").stdout == "3\n"
    bench = gossipd("bench", "--requests", "100", "--api", f"unix:{here}", "--api", own)
    assert "yes, on 2 nodes" in bench.stdout, bench

    if not os.geteuid():  # the kernel asks root for no permission
        nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        refused = gossipd("count", prefix=nobody, GOSSIPD_API=f"unix:{here}")
        text = f"gossipd: this user may not use unix:{here} (permission denied)\n"
        assert (refused.returncode, refused.stderr) == (3, text)

    second = cluster.add()
    second.start("--api", f"unix:{here}")
    assert second.ended() == 1
    assert f"cannot bind the API port unix:{here}: somebody listens there" in second.log

    node.kill()
    assert here.exists()
    assert "connection refused" in gossipd("count", GOSSIPD_API=f"unix:{here}").stderr
    node.start(*options)
    until(lambda: gossipd("count", GOSSIPD_API=f"unix:{here}").stdout == "3\n", 20, "it is back")
    node.process.terminate()
    assert node.ended() == 0
    assert not here.exists()
    assert not open_to_all.exists()
