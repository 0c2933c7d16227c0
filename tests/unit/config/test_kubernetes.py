"""The example for Kubernetes hangs together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gossipd.config.endpoint import API_PORT, GOSSIP_PORT
from gossipd.config.options import keys
from gossipd.core.settings import Settings

PATH = Path(__file__).parents[3] / "configs" / "kubernetes.yaml"


class Strict(yaml.SafeLoader):  # type: ignore[misc]  # it has no types
    """Refuses a key that is there twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        assert len(made) == len(node.value), f"a key is there twice: {node.start_mark}"
        return made


@pytest.fixture(scope="module")
def objects() -> dict[tuple[str, str], Any]:
    documents = list(yaml.load_all(PATH.read_text(), Strict))
    for document in documents:
        assert document.keys() == {"apiVersion", "kind", "metadata", "spec"}
    return {(each["kind"], each["metadata"]["name"]): each["spec"] for each in documents}


def test_the_objects_are_these(objects: dict[tuple[str, str], Any]) -> None:
    assert set(objects) == {
        ("Service", "gossipd-members"),
        ("Service", "gossipd"),
        ("StatefulSet", "gossipd"),
        ("PodDisruptionBudget", "gossipd"),
    }


def test_the_schemas_of_kubernetes_know_all_that_stands_there() -> None:
    """Of some 140 MiB, which are not asked for."""
    schemas = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    for document in yaml.safe_load_all(PATH.read_text()):
        schemas.validate(document, "1.25", strict=True)
        schemas.validate(document, schemas.latest_version(), strict=True)


def test_nodes_find_each_other_before_they_are_ready(objects: dict[tuple[str, str], Any]) -> None:
    members, stateful = objects["Service", "gossipd-members"], objects["StatefulSet", "gossipd"]
    assert members["clusterIP"] == "None"
    assert members["publishNotReadyAddresses"] is True
    assert stateful["serviceName"] == "gossipd-members"
    assert environment(stateful)["GOSSIPD_RUN_JOIN"] == "gossipd-members"
    assert stateful["podManagementPolicy"] == "Parallel"
    assert "publishNotReadyAddresses" not in objects["Service", "gossipd"]


def test_all_of_them_mean_the_same_pods(objects: dict[tuple[str, str], Any]) -> None:
    stateful = objects["StatefulSet", "gossipd"]
    labels = stateful["template"]["metadata"]["labels"]
    assert stateful["selector"]["matchLabels"] == labels
    assert objects["PodDisruptionBudget", "gossipd"]["selector"]["matchLabels"] == labels
    for name in "gossipd", "gossipd-members":
        assert objects["Service", name]["selector"] == labels


def test_ports_are_those_of_a_node(objects: dict[tuple[str, str], Any]) -> None:
    ports = {(GOSSIP_PORT, "UDP"), (API_PORT, "TCP")}
    container = the_container(objects["StatefulSet", "gossipd"])
    assert {(each["containerPort"], each["protocol"]) for each in container["ports"]} == ports
    shown = objects["Service", "gossipd-members"]["ports"]
    assert {(each["port"], each["protocol"]) for each in shown} == ports
    (api,) = (each["name"] for each in container["ports"] if each["protocol"] == "TCP")
    paths = {"readinessProbe": "/ready", "livenessProbe": "/health", "startupProbe": "/health"}
    for probe, path in paths.items():
        assert container[probe]["httpGet"] == {"path": path, "port": api}
    assert objects["Service", "gossipd"]["ports"][0]["targetPort"] == api


def test_variables_are_options(objects: dict[tuple[str, str], Any]) -> None:
    known = {key.variable for key in keys()} | {"STATE_DIRECTORY", "GOSSIPD_API"}
    assert set(environment(objects["StatefulSet", "gossipd"])) <= known


def test_a_leave_has_its_time(objects: dict[tuple[str, str], Any]) -> None:
    pod = objects["StatefulSet", "gossipd"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > Settings().leave_timeout + 1


def test_the_state_is_kept_and_nothing_else_is_written(
    objects: dict[tuple[str, str], Any],
) -> None:
    stateful = objects["StatefulSet", "gossipd"]
    container, pod = the_container(stateful), stateful["template"]["spec"]
    (claim,), given = stateful["volumeClaimTemplates"], environment(stateful)
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts.keys() == {claim["metadata"]["name"], *(v["name"] for v in pod["volumes"])}
    assert mounts["state"]["mountPath"] == given["STATE_DIRECTORY"]
    assert given["GOSSIPD_RUN_API"].split(",")[1] == given["GOSSIPD_API"]
    assert given["GOSSIPD_API"] == f"unix:{mounts['run']['mountPath']}/api.sock"
    assert given["GOSSIPD_RUN_TOKENS"] == f"{mounts['secret']['mountPath']}/tokens"
    assert mounts["secret"]["readOnly"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"]


def test_the_secret_is_where_a_node_looks_and_of_a_mode_that_it_takes(
    objects: dict[tuple[str, str], Any], tmp_path: Path
) -> None:
    stateful = objects["StatefulSet", "gossipd"]
    (volume,) = (each for each in stateful["template"]["spec"]["volumes"] if "secret" in each)
    mounts = {each["name"]: each["mountPath"] for each in the_container(stateful)["volumeMounts"]}
    file = Path(environment(stateful)["GOSSIPD_RUN_KEYRING"])
    assert str(file.parent) == mounts[volume["name"]]
    made = f"kubectl create secret generic {volume['secret']['secretName']}"
    for text in (PATH.read_text(), (PATH.parent / "README.md").read_text()):
        assert f'{made} --from-literal={file.name}="$(gossipd keygen)"' in text
    # As the files are root's, tests/unit/sealing/test_keyring.py reads one of that mode.
    assert volume["secret"]["defaultMode"] == 0o440


def the_container(stateful: Any) -> Any:
    (container,) = stateful["template"]["spec"]["containers"]
    return container


def environment(stateful: Any) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in the_container(stateful)["env"]}
