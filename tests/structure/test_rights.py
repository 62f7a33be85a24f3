"""The rights that doors ask for are ECR's own."""

import botocore.session

from ecru.distribution import routes as _declared  # noqa: F401 - declares them
from ecru.distribution.declare import Route, all_routes


def find(method: str, label: str) -> Route:
    (route,) = [each for each in all_routes() if (each.method, each.label) == (method, label)]
    return route


def test_routes_ask_for_actions_that_ecr_has() -> None:
    operations = botocore.session.get_session().get_service_model("ecr").operation_names

    for route in all_routes():
        for action in route.actions:
            service, _, operation = action.partition(":")

            assert service == "ecr"
            assert operation in operations


def test_either_right_is_enough_to_ask_for_a_blob() -> None:
    """The layer check and the download both tell whether a layer is there."""
    route = find("HEAD", "/v2/{name}/blobs/{digest}")

    assert set(route.actions) == {"ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer"}
    assert route.either


def test_routes_that_the_api_has_no_operation_for_ask_for_the_nearest() -> None:
    upload = "/v2/{name}/blobs/uploads/{upload}"

    assert find("GET", upload).actions == find("DELETE", upload).actions == ("ecr:UploadLayerPart",)
    assert find("DELETE", "/v2/{name}/blobs/{digest}").actions == ("ecr:BatchDeleteImage",)
    assert find("GET", "/v2/").actions == ()
