"""The OCI conformance suites, run against a registry, and what they report."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.clients.registry import Registry
from tests.peers import peer

_LEGACY_ROOT = "OCI Distribution Conformance Tests "
_LEGACY_WORKFLOWS = ("PULL", "PUSH", "CONTENT_DISCOVERY", "CONTENT_MANAGEMENT")

# Not among the peers yet, see docs/conformance.md; a line of scripts/peers.versions brings it.
CURRENT = Path(__file__).parent.parent.parent / ".peers" / "bin" / "conformance"


@dataclass(frozen=True)
class Report:
    """The names of what a suite checked, by how it ended."""

    passed: frozenset[str]
    skipped: frozenset[str]
    failed: Mapping[str, str]
    """With what the suite has to say about each."""


def run_legacy_suite(
    registry: Registry, folder: Path, *repositories: str, workflows: tuple[str, ...] = _LEGACY_WORKFLOWS, **more: str
) -> Report:
    """Run the suite of the specification's releases up to 1.1.1 on two repositories that are there.

    https://github.com/opencontainers/distribution-spec/tree/v1.1.1/conformance

    Args:
        registry: what is checked.
        folder: where the report goes.
        repositories: where it pushes to, and where it mounts to.
        workflows: what is checked, in the suite's words.
        more: further variables of the suite, without ``OCI_``.
    """
    settings = {
        "ROOT_URL": registry.url,
        "NAMESPACE": repositories[0],
        "CROSSMOUNT_NAMESPACE": repositories[1],
        "USERNAME": "AWS",
        "PASSWORD": registry.password,
        "REPORT_DIR": str(folder),
        "HIDE_SKIPPED_WORKFLOWS": "0",
        **{f"TEST_{workflow}": "1" for workflow in workflows},
        **more,
    }
    return _run(peer("conformance-legacy"), folder, settings, _LEGACY_ROOT)


def run_current_suite(registry: Registry, folder: Path, *repositories: str, **more: str) -> Report:
    """Run the suite as it was written anew, on two repositories that are there.

    https://github.com/opencontainers/distribution-spec/tree/main/conformance
    """
    settings = {
        "REGISTRY": registry.host,
        "TLS": "disabled" if registry.certificate_authority is None else "insecure",
        "REPO1": repositories[0],
        "REPO2": repositories[1],
        "USERNAME": "AWS",
        "PASSWORD": registry.password,
        "RESULTS_DIR": str(folder),
        **more,
    }
    return _run(CURRENT, folder, settings, "")


def _run(program: Path, folder: Path, settings: Mapping[str, str], root: str) -> Report:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **{f"OCI_{name}": value for name, value in settings.items()}}
    ended = subprocess.run([program], env=environment, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    # Faults in its settings end the current suite with success and without a report.
    assert (folder / "junit.xml").exists(), ended.stdout + ended.stderr
    report = _read_report(folder / "junit.xml", root)
    assert (ended.returncode == 0) is (not report.failed), ended.stdout + ended.stderr
    return report


def _read_report(file: Path, root: str) -> Report:
    passed, skipped, failed = set[str](), set[str](), dict[str, str]()
    for case in ET.parse(file).iter("testcase"):  # noqa: S314 - it was written by a program of ours
        name = case.get("name", "").removeprefix(root)
        faults = [*case.findall("failure"), *case.findall("error")]
        if faults:
            failed[name] = "\n".join(fault.get("message") or fault.text or "" for fault in faults)
        elif case.get("status", "").lower() in {"skipped", "disabled"} or case.find("skipped") is not None:
            skipped.add(name)
        else:
            passed.add(name)
    return Report(frozenset(passed), frozenset(skipped), failed)
