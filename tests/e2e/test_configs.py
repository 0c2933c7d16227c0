"""The examples in `configs/` do what they say, each in a network as it is meant for."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gossipd.config.tokens import digest_of
from gossipd.sealing.keyring import Secret
from tests.e2e import namespaces
from tests.e2e.cluster import Cluster, agree, counted, keyring
from tests.e2e.namespaces import Namespace, Network
from tests.e2e.node import ROOT, Node, gossipd, until

CONFIGS = ROOT / "configs"
TOKEN = "one-that-is-shown-to-all"
API = "GOSSIPD_API"

in_a_network = pytest.mark.skipif(bool(namespaces.why_none()), reason=namespaces.why_none())


@pytest.fixture
def network(cluster: Cluster) -> Iterator[Network]:
    # The processes have to end before the network does.
    with Network(3) as made:
        yield made
        cluster.close()


def token_file(directory: Path) -> Path:
    """As administrators write it: everybody may read it."""
    path = directory / "tokens"
    path.write_text(f"admin sha256:{digest_of(TOKEN.encode()).hex()}\n")
    return path


def directives(text: str) -> list[tuple[str, str]]:
    """The instructions of a Containerfile, each in one line."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    words = (line.partition(" ") for line in joined.splitlines() if line)
    return [(name, rest.strip()) for name, _, rest in words]


def test_a_containerfile_has_two_stages_and_a_user_without_privileges() -> None:
    said = directives((CONFIGS / "Containerfile").read_text())
    assert [rest for name, rest in said if name == "FROM"] == ["${BASE} AS build", "${BASE}"]
    last = dict(said[[name for name, _ in said].index("FROM") + 5 :])
    assert last["USER"] == "10001:10001"
    assert last["EXPOSE"] == "7946/udp 7947/tcp"
    assert last["ENTRYPOINT"] == '["gossipd"]'
    copied = [rest.split()[:-1] for name, rest in said if name == "COPY" and "--from" not in rest]
    assert all((ROOT / path).exists() for paths in copied for path in paths)


@in_a_network
def test_a_container_is_healthy_while_its_process_answers(
    cluster: Cluster, network: Network, tmp_path: Path
) -> None:
    """Its environment, command and check, without its file system."""
    last = dict(directives((CONFIGS / "Containerfile").read_text()))
    given = dict(
        word.split("=", 1) for word in last["ENV"].split() if not word.startswith("PATH=")
    )
    given["STATE_DIRECTORY"] = str(tmp_path)
    check = json.loads(last["HEALTHCHECK"].partition(" CMD ")[2])
    node = cluster.add(host=network.address(0), namespace=network.hosts[0])

    def healthy() -> bool:
        return not subprocess.run((*node.prefix, *check), capture_output=True).returncode

    assert not healthy()
    node.start_as(*json.loads(last["CMD"]), **given)
    until(healthy, 20, "it is healthy")
    node.send(getattr(signal, last["STOPSIGNAL"]))
    assert node.ended() == 0


def asked(node: Node, namespace: Namespace, path: str, port: int) -> int:
    """What a kubelet hears: at the address of the pod. Raises `OSError`."""
    connection = http.client.HTTPConnection(node.host, port)
    with namespace.entered():
        connection.sock = socket.create_connection((node.host, port), 5)
    connection.request("GET", path)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


@in_a_network
def test_pods_form_a_cluster_become_ready_and_end_in_time(
    cluster: Cluster, network: Network, tmp_path: Path
) -> None:
    """What Kubernetes makes of the example: names, environment, probes, signals."""
    tokens, secrets = token_file(tmp_path), keyring(tmp_path / "keyring", Secret.fresh())
    documents: list[Any] = list(yaml.safe_load_all((CONFIGS / "kubernetes.yaml").read_text()))
    (stateful,) = (each for each in documents if each["kind"] == "StatefulSet")
    pod = stateful["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    run, secret = mounts["run"], mounts["secret"]
    (container_api,) = (each["value"] for each in container["env"] if each["name"] == API)
    assert {volume["name"] for volume in pod["volumes"]} == {"run", "secret", "tmp"}
    addresses = [network.address(number) for number in range(3)]
    hosts = [f"{address} {stateful['spec']['serviceName']}\n" for address in addresses]
    pods = []
    for number, namespace in enumerate(network.hosts):
        namespace.file("hosts", f"127.0.0.1 localhost\n{''.join(hosts)}")
        namespace.file("nsswitch.conf", "hosts: files\n")
        name = f"{stateful['metadata']['name']}-{number}"
        node = cluster.add(host=addresses[number], name=name, namespace=namespace)
        fields = {"metadata.name": name}
        given = {
            each["name"]: each.get("value") or fields[each["valueFrom"]["fieldRef"]["fieldPath"]]
            for each in container["env"]
        }
        given["STATE_DIRECTORY"] = str(tmp_path / name)
        given["GOSSIPD_RUN_API"] = given["GOSSIPD_RUN_API"].replace(run, str(tmp_path / name))
        assert given["GOSSIPD_RUN_TOKENS"].startswith(f"{secret}/")
        given["GOSSIPD_RUN_TOKENS"] = str(tokens)
        given["GOSSIPD_RUN_KEYRING"] = secrets
        (tmp_path / name).mkdir()
        node.start_as(*container["args"], **given)
        node.token = TOKEN
        pods.append((node, namespace))

    def passes(probe: str) -> bool:
        path, port = (container[probe]["httpGet"][key] for key in ("path", "port"))
        return all(asked(*each, path, ports[port]) == 200 for each in pods)

    until(lambda: passes("startupProbe"), 20, "all have started")
    until(lambda: passes("readinessProbe"), 40, "all are ready")
    assert passes("livenessProbe")
    nodes = [node for node, _ in pods]
    path = container_api.replace(run, str(tmp_path / nodes[0].name))
    assert gossipd("count", prefix=nodes[0].prefix, GOSSIPD_API=path).stdout == "0\n"
    assert asked(*pods[0], "/count", ports["api"]) == 401
    agree(nodes, within=20)
    nodes[0].increment()
    counted(nodes, 1, within=10)
    for node in nodes:
        node.send(signal.SIGTERM)
    grace = pod["terminationGracePeriodSeconds"]
    assert [node.ended(grace) for node in nodes] == [0, 0, 0]


@in_a_network
def test_one_file_does_for_three_hosts(cluster: Cluster, network: Network, tmp_path: Path) -> None:
    text = (CONFIGS / "three-hosts" / "gossipd.toml").read_text()
    assert re.findall(r'"10\.0\.0\.(\d)"', text) == ["1", "2", "3"]
    text = text.replace('"10.0.0.', '"10.77.0.').replace("/etc/gossipd/", f"{tmp_path}/")
    token_file(tmp_path)
    nodes = []
    for number, namespace in enumerate(network.hosts):
        name = f"host-{number}"
        node = cluster.add(host=network.address(number), name=name, namespace=namespace)
        node.prefix += ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name)
        (directory := tmp_path / name).mkdir()
        path = directory / "gossipd.toml"
        path.write_text(text.replace("/run/gossipd", str(directory)))
        node.start_as("run", "--config", str(path))
        node.token = TOKEN
        nodes.append(node)
    agree(nodes, within=40)
    assert nodes[0].status()["cluster"] == "shop"
    nodes[0].increment()
    counted(nodes, 1, within=10)
