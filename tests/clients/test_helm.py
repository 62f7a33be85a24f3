"""Helm: charts are artifacts in a repository of their own name."""

import json
import tarfile
from pathlib import Path

import pytest

from ecru.oci.digest import digest_of
from tests.clients.registry import Command, Home, Registry

CHART = "application/vnd.cncf.helm.config.v1+json"


@pytest.fixture(scope="module")
def helm(registry: Registry, home: Home) -> Command:
    """Helm, logged in."""
    program = home.command("helm")
    program("registry", "login", "--plain-http", "--username", "AWS", "--password-stdin", registry.host, stdin=registry.password)
    return program


def a_chart(helm: Command, folder: Path, version: str) -> Path:
    """Package a chart; answers the archive."""
    chart = folder / "greeter"
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: greeter\nversion: {version}\ndescription: It greets\n")
    (chart / "templates" / "greeting.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: greeting}\n")
    helm("package", chart, "--destination", folder)
    return folder / f"greeter-{version}.tgz"


def test_a_chart_is_pushed_found_and_pulled(registry: Registry, helm: Command, tmp_path: Path) -> None:
    repository = registry.create_repository("charts/greeter")
    name = f"oci://{registry.host}/{repository}"
    archives = {version: a_chart(helm, tmp_path, version) for version in ("1.0.0", "1.1.0+build.5")}

    for archive in archives.values():
        helm("push", "--plain-http", archive, f"oci://{registry.host}/charts")
    shown = helm("show", "chart", "--plain-http", name)
    rendered = helm("template", "--plain-http", name, "--version", "~1.0")
    (tmp_path / "pulled").mkdir()
    helm("pull", "--plain-http", name, "--version", "1.0.0", "--destination", tmp_path / "pulled")

    # What a tag cannot hold is written as Helm writes it.
    assert sorted(registry.tags(repository)) == ["1.0.0", "1.1.0_build.5"]
    assert registry.describe(repository, "1.0.0")["artifactMediaType"] == CHART
    assert "version: 1.1.0+build.5" in shown
    assert "kind: ConfigMap" in rendered
    pulled = tmp_path / "pulled" / "greeter-1.0.0.tgz"
    assert pulled.read_bytes() == archives["1.0.0"].read_bytes()
    with tarfile.open(pulled) as chart:
        assert "greeter/Chart.yaml" in chart.getnames()
    with registry.http() as http:
        manifest = http.get(f"/v2/{repository}/manifests/1.0.0")
    assert digest_of(manifest.content) == registry.tags(repository)["1.0.0"]
    assert json.loads(manifest.content)["layers"][0]["digest"] == digest_of(pulled.read_bytes())


def test_a_chart_without_a_repository_is_refused_by_name(registry: Registry, helm: Command, tmp_path: Path) -> None:
    refused = helm.fails("push", "--plain-http", a_chart(helm, tmp_path, "1.0.0"), f"oci://{registry.host}/not-made")

    assert "The repository with name 'not-made/greeter' does not exist" in refused
