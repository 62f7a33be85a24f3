"""The suites of the OCI distribution specification: nothing fails, and what is skipped is skipped for a reason written here."""

from pathlib import Path

import pytest

from tests.clients.conformance import CURRENT, run_current_suite, run_legacy_suite
from tests.clients.images import an_image
from tests.clients.registry import Registry

TAG_FROM_OUTSIDE = "Pull Setup Get tag name from environment"
TAGS_FROM_OUTSIDE = "Content Discovery Setup Populate registry with test tags (no push)"
MOUNT = "Push Cross-Repository Blob Mount "
ANONYMOUS_IS_MOUNTED = MOUNT + "Cross-mounting without from, and automatic content discovery enabled should return a 201"
ANONYMOUS_IS_NOT_MOUNTED = MOUNT + "Cross-mounting without from, and automatic content discovery disabled should return a 202"
MOUNTED_IS_SERVED = MOUNT + "GET request to test digest within cross-mount namespace should return 200"
REFUSED_IS_AN_UPLOAD = MOUNT + "Cross-mounting of nonexistent blob should yield session id"


def test_the_legacy_suite_passes_with_mounting(registry: Registry, mounting: None, tmp_path: Path) -> None:
    repositories = registry.create_repository(), registry.create_repository()

    report = run_legacy_suite(registry, tmp_path, *repositories, AUTOMATIC_CROSSMOUNT="0")

    assert report.failed == {}
    assert report.skipped == {
        TAG_FROM_OUTSIDE,  # for registries that one cannot push to: below
        TAGS_FROM_OUTSIDE,  # the same, where the suite then fails its own checks of referrers, which it has not pushed
        REFUSED_IS_AN_UPLOAD,  # of a registry that does not mount: below
        ANONYMOUS_IS_MOUNTED,  # we do not: it would tell what lies in repositories that the client has not named
    }
    assert {MOUNTED_IS_SERVED, ANONYMOUS_IS_NOT_MOUNTED} <= report.passed


def test_the_legacy_suite_passes_without_mounting(registry: Registry, tmp_path: Path) -> None:
    repositories = registry.create_repository(), registry.create_repository()

    report = run_legacy_suite(registry, tmp_path, *repositories, AUTOMATIC_CROSSMOUNT="0")

    assert report.failed == {}
    # What asks what becomes of a mount has none.
    assert report.skipped == {
        TAG_FROM_OUTSIDE,
        TAGS_FROM_OUTSIDE,
        MOUNTED_IS_SERVED,
        ANONYMOUS_IS_MOUNTED,
        ANONYMOUS_IS_NOT_MOUNTED,
    }
    assert REFUSED_IS_AN_UPLOAD in report.passed


def test_the_legacy_suite_passes_on_what_is_there_already(registry: Registry, tmp_path: Path) -> None:
    repository, image = registry.create_repository(), an_image("there already")
    registry.push(repository, image, "test0")
    given = {"MANIFEST_DIGEST": image.digest, "TAG_NAME": "test0", "BLOB_DIGEST": image.layers[0]}

    report = run_legacy_suite(registry, tmp_path, repository, repository, workflows=("PULL",), **given)

    assert report.failed == {}
    assert TAG_FROM_OUTSIDE in report.passed
    assert not [name for name in report.skipped if name.startswith("Pull Pull ")]


if CURRENT.exists():

    @pytest.mark.parametrize("version", ["1.0", "1.1", "dev"])
    def test_the_current_suite_passes(registry: Registry, mounting: None, tmp_path: Path, version: str) -> None:
        repositories = registry.create_repository(), registry.create_repository()

        report = run_current_suite(registry, tmp_path, *repositories, VERSION=version)

        assert report.failed == {}
        assert report.passed
        # Anonymous mounts become uploads, as above.
        assert [name for name in report.skipped if "mount anonymous" not in name] == []
