import pytest

from ecru.oci import media_types
from ecru.oci.media_types import is_foreign_layer, is_layer, without_parameters


@pytest.mark.parametrize(
    "media_type, foreign",
    [
        ("application/vnd.oci.image.layer.nondistributable.v1.tar", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", True),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", True),
        ("application/vnd.oci.image.layer.v1.tar+gzip", False),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", False),
        ("application/vnd.example.nondistributable", False),
    ],
)
def test_only_nondistributable_layers_are_foreign(media_type: str, foreign: bool) -> None:
    assert is_foreign_layer(media_type) is foreign


def test_foreign_layers_are_layers() -> None:
    assert all(is_layer(media_type) for media_type in media_types.FOREIGN_LAYER_TYPES)


def test_no_manifest_is_a_layer() -> None:
    assert not any(is_layer(media_type) for media_type in media_types.STORED_TYPES)


@pytest.mark.parametrize(
    "content_type, bare",
    [
        (media_types.OCI_INDEX, media_types.OCI_INDEX),
        (f"{media_types.OCI_INDEX}; charset=utf-8", media_types.OCI_INDEX),
        (f"  {media_types.OCI_INDEX} ;a=b;c=d", media_types.OCI_INDEX),
        ("Application/JSON", "application/json"),
        ("", ""),
        ("; charset=utf-8", ""),
    ],
)
def test_a_content_type_is_compared_without_parameters_and_case(content_type: str, bare: str) -> None:
    assert without_parameters(content_type) == bare
