"""Pushing, pulling and deleting manifests."""

import asyncio
import json

import httpx
import pytest

from ecru.oci.digest import Digest, digest_of
from ecru.oci.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from ecru.rules.mutability import Mutability
from tests.making import a_config, a_descriptor, a_layer, a_manifest, an_index
from tests.wire.serving import Server, push_blob

pytestmark = pytest.mark.anyio

LAYER, CONFIG = a_layer(), a_config()
MANIFEST = a_manifest()
DIGEST = digest_of(MANIFEST)


@pytest.fixture
async def pushing(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client, with what a manifest needs already pushed to ``app``."""
    for content in (LAYER, CONFIG):
        await push_blob(client, "app", content)
    return client


async def push(
    client: httpx.AsyncClient, reference: str, content: bytes = MANIFEST, media_type: str = OCI_MANIFEST, name: str = "app"
) -> httpx.Response:
    return await client.put(f"/v2/{name}/manifests/{reference}", content=content, headers={"Content-Type": media_type})


async def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]


@pytest.mark.parametrize("reference", ["v1", DIGEST])
async def test_a_manifest_is_served_byte_for_byte_as_it_was_pushed(pushing: httpx.AsyncClient, reference: str) -> None:
    pushed = await push(pushing, reference)
    pulled = await pushing.get(f"/v2/app/manifests/{reference}")
    head = await pushing.head(f"/v2/app/manifests/{reference}")

    assert (pushed.status_code, pushed.headers["Docker-Content-Digest"]) == (201, DIGEST)
    assert (await pushing.get(pushed.headers["Location"])).content == MANIFEST
    assert (pulled.content, pulled.headers["Content-Type"]) == (MANIFEST, OCI_MANIFEST)
    assert (head.headers["Content-Length"], head.headers["Docker-Content-Digest"]) == (str(len(MANIFEST)), DIGEST)


@pytest.mark.parametrize("accept", [None, "*/*", DOCKER_LIST, f"{OCI_INDEX};q=0.5, {DOCKER_MANIFEST}", f"{OCI_MANIFEST};q=0"])
async def test_what_a_client_accepts_does_not_change_what_is_served(pushing: httpx.AsyncClient, accept: str | None) -> None:
    await push(pushing, "v1")
    pulled = await pushing.get("/v2/app/manifests/v1", headers={} if accept is None else {"Accept": accept})

    assert (pulled.status_code, pulled.headers["Content-Type"]) == (200, OCI_MANIFEST)


@pytest.mark.parametrize("known", ['"{}"', "{}", 'W/"x", "{}"'])
async def test_a_client_that_has_the_manifest_is_told_so(pushing: httpx.AsyncClient, known: str) -> None:
    await push(pushing, "v1")
    pulled = await pushing.get("/v2/app/manifests/v1", headers={"If-None-Match": known.format(DIGEST)})

    assert (pulled.status_code, pulled.content) == (304, b"")


@pytest.mark.parametrize("reference", ["v1", DIGEST, "sha256:totallywrong", "..", "a" * 129])
async def test_a_manifest_that_is_not_there_is_not_found(client: httpx.AsyncClient, reference: str) -> None:
    answer = await client.get(f"/v2/app/manifests/{reference}".replace("..", "%2e%2e"))

    assert await code_of(answer) == (404, "MANIFEST_UNKNOWN")
    assert answer.json()["errors"][0]["message"] == "Requested image not found"


@pytest.mark.parametrize(
    "reference, code",
    [("sha256:baddigeststring", "DIGEST_INVALID"), ("-v1", "TAG_INVALID"), ("a" * 129, "TAG_INVALID")],
)
async def test_a_push_under_a_malformed_reference_is_refused(pushing: httpx.AsyncClient, reference: str, code: str) -> None:
    assert await code_of(await push(pushing, reference)) == (400, code)


async def test_a_push_under_another_digest_is_refused(pushing: httpx.AsyncClient) -> None:
    assert await code_of(await push(pushing, DIGEST, MANIFEST + b" ")) == (400, "DIGEST_INVALID")


async def test_a_manifest_of_sha512_is_kept_under_it(pushing: httpx.AsyncClient) -> None:
    digest = digest_of(MANIFEST, "sha512")
    pushed = await push(pushing, digest)
    pulled = await pushing.get(f"/v2/app/manifests/{digest}")

    assert (pushed.status_code, pulled.headers["Docker-Content-Digest"]) == (201, digest)


async def test_a_manifest_whose_blobs_are_missing_is_refused_and_names_them(client: httpx.AsyncClient) -> None:
    await push_blob(client, "app", CONFIG)
    answer = await push(client, "v1")

    assert await code_of(answer) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert answer.json()["errors"][0]["detail"] == [{"digest": digest_of(LAYER)}]
    assert "required for pushing image into repository with name 'app'" in answer.json()["errors"][0]["message"]


async def test_an_index_whose_children_are_missing_is_refused(client: httpx.AsyncClient) -> None:
    answer = await push(client, "v1", an_index(MANIFEST), OCI_INDEX)

    assert await code_of(answer) == (400, "MANIFEST_BLOB_UNKNOWN")


async def test_a_foreign_layer_and_a_subject_need_not_be_there(pushing: httpx.AsyncClient) -> None:
    foreign = a_descriptor(b"foreign", media_type="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
    content = a_manifest(layers=[foreign], subject=a_descriptor(b"nowhere", media_type=OCI_MANIFEST))
    answer = await push(pushing, "v1", content)

    assert (answer.status_code, answer.headers["OCI-Subject"]) == (201, digest_of(b"nowhere"))


@pytest.mark.parametrize(
    "content, media_type, code",
    [
        (b"{", OCI_MANIFEST, "MANIFEST_INVALID"),
        (MANIFEST, DOCKER_MANIFEST, "MANIFEST_INVALID"),
        (b'{"schemaVersion":1}', "application/vnd.docker.distribution.manifest.v1+prettyjws", "UNSUPPORTED"),
        (b'{"schemaVersion":2}', "text/plain", "UNSUPPORTED"),
    ],
    ids=["no JSON", "two types", "schema 1", "unknown type"],
)
async def test_a_bad_manifest_is_refused(client: httpx.AsyncClient, content: bytes, media_type: str, code: str) -> None:
    answer = await push(client, "v1", content, media_type)

    assert await code_of(answer) == (400, code)
    assert "'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("extra, status", [(-1, 201), (0, 201), (1, 413)])
async def test_a_manifest_may_have_four_mebibytes(pushing: httpx.AsyncClient, extra: int, status: int) -> None:
    room = 4_194_304 + extra - len(a_manifest(annotations={"filler": ""}))
    content = a_manifest(annotations={"filler": "x" * room})

    assert len(content) == 4_194_304 + extra
    assert (await push(pushing, "v1", content)).status_code == status


async def test_a_tag_moves_and_the_old_image_stays_by_digest(pushing: httpx.AsyncClient) -> None:
    other = a_manifest(annotations={"build": "2"})
    await push(pushing, "v1")
    await push(pushing, "v1", other)

    assert (await pushing.get("/v2/app/manifests/v1")).content == other
    assert (await pushing.get(f"/v2/app/manifests/{DIGEST}")).content == MANIFEST


@pytest.mark.parametrize(
    "mutability, filters, tag, moves",
    [
        (Mutability.MUTABLE, [], "v1", True),
        (Mutability.IMMUTABLE, [], "v1", False),
        (Mutability.IMMUTABLE_WITH_EXCLUSION, ["latest"], "latest", True),
        (Mutability.IMMUTABLE_WITH_EXCLUSION, ["latest"], "v1", False),
        (Mutability.MUTABLE_WITH_EXCLUSION, ["v*"], "v1", False),
        (Mutability.MUTABLE_WITH_EXCLUSION, ["v*"], "latest", True),
    ],
)
async def test_a_protected_tag_does_not_move_but_takes_the_same_push_again(
    server: Server, client: httpx.AsyncClient, mutability: Mutability, filters: list[str], tag: str, *, moves: bool
) -> None:
    await server.create_repository("team/kept", mutability=mutability, filters=filters)
    for content in (LAYER, CONFIG):
        await push_blob(client, "team/kept", content)
    other = a_manifest(annotations={"build": "2"})
    first = await push(client, tag, name="team/kept")
    again = await push(client, tag, name="team/kept")
    moved = await push(client, tag, other, name="team/kept")

    assert (first.status_code, again.status_code) == (201, 201)
    if moves:
        assert moved.status_code == 201
    else:
        assert await code_of(moved) == (400, "TAG_INVALID")
        assert "cannot be overwritten because the tag is immutable" in moved.json()["errors"][0]["message"]
    assert (await client.get(f"/v2/team/kept/manifests/{tag}")).content == (other if moves else MANIFEST)


async def test_a_push_by_digest_sets_several_tags_or_none(server: Server, pushing: httpx.AsyncClient) -> None:
    answer = await pushing.put(
        f"/v2/app/manifests/{DIGEST}?tag=a&tag=b&tag=a", content=MANIFEST, headers={"Content-Type": OCI_MANIFEST}
    )
    refused = await pushing.put(f"/v2/app/manifests/{DIGEST}?tag=c&tag=-", content=MANIFEST, headers={"Content-Type": OCI_MANIFEST})

    assert (answer.status_code, answer.headers["OCI-Tag"]) == (201, "a, b")
    assert refused.status_code == 400
    assert (await pushing.get("/v2/app/tags/list")).json()["tags"] == ["a", "b"]


async def test_delete_by_tag_leaves_the_image(pushing: httpx.AsyncClient) -> None:
    await push(pushing, "v1")
    deleted = await pushing.delete("/v2/app/manifests/v1")

    assert deleted.status_code == 202
    assert (await pushing.get("/v2/app/manifests/v1")).status_code == 404
    assert (await pushing.get(f"/v2/app/manifests/{DIGEST}")).status_code == 200


async def test_delete_by_digest_takes_the_tags_along(pushing: httpx.AsyncClient) -> None:
    await push(pushing, "v1")
    deleted = await pushing.delete(f"/v2/app/manifests/{DIGEST}")
    again = await pushing.delete(f"/v2/app/manifests/{DIGEST}")

    assert deleted.status_code == 202
    assert await code_of(again) == (404, "MANIFEST_UNKNOWN")
    assert (await pushing.get("/v2/app/tags/list")).json() == {"name": "app", "tags": []}


async def test_a_deleted_image_pushed_again_starts_clean(pushing: httpx.AsyncClient) -> None:
    await push(pushing, "v1")
    await pushing.delete(f"/v2/app/manifests/{DIGEST}")
    await push(pushing, "v2")

    assert (await pushing.get("/v2/app/tags/list")).json()["tags"] == ["v2"]
    assert (await pushing.get(f"/v2/app/manifests/{DIGEST}")).status_code == 200


async def test_a_child_of_an_index_cannot_be_deleted_before_it(pushing: httpx.AsyncClient) -> None:
    child = a_descriptor(MANIFEST, media_type=OCI_MANIFEST)
    index = an_index(child)
    await push(pushing, DIGEST)
    assert (await push(pushing, "all", index, OCI_INDEX)).status_code == 201
    refused = await pushing.delete(f"/v2/app/manifests/{DIGEST}")
    await pushing.delete(f"/v2/app/manifests/{digest_of(index)}")
    deleted = await pushing.delete(f"/v2/app/manifests/{DIGEST}")

    assert await code_of(refused) == (405, "UNSUPPORTED")
    assert refused.json()["errors"][0]["message"].startswith(f"Requested image referenced by manifest list: [{digest_of(index)}")
    assert deleted.status_code == 202


async def test_many_first_pushes_of_one_image_all_succeed(pushing: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(push(pushing, f"v{number % 3}") for number in range(20)))

    assert {answer.status_code for answer in answers} == {201}
    assert (await pushing.get("/v2/app/tags/list")).json()["tags"] == ["v0", "v1", "v2"]


async def test_annotations_that_no_database_text_can_hold_are_stored(pushing: httpx.AsyncClient) -> None:
    document = json.loads(MANIFEST) | {"annotations": {"note": "nul \x00 and \ud800"}}
    content = json.dumps(document).encode()
    answer = await push(pushing, "v1", content)

    assert answer.status_code in {201, 400}
    if answer.status_code == 201:
        assert (await pushing.get("/v2/app/manifests/v1")).content == content


async def test_what_the_index_leaves_out_is_told_in_a_warning(pushing: httpx.AsyncClient) -> None:
    quiet = await push(pushing, "v1", a_manifest(annotations={"short": "x"}))
    warned = await push(pushing, "v1", a_manifest(annotations={"long": "x" * 600, "short": "x"}))

    assert "Warning" not in quiet.headers
    assert warned.headers["Warning"].startswith('299 - "1 annotations or labels')


def digests(answer: httpx.Response) -> list[Digest]:
    return [each["digest"] for each in answer.json()["manifests"]]


async def test_referrers_are_listed_with_their_type_and_annotations(pushing: httpx.AsyncClient) -> None:
    subject = a_descriptor(MANIFEST, media_type=OCI_MANIFEST)
    signature = a_manifest(subject=subject, artifactType="application/x.signature", annotations={"by": "me"})
    plain = a_manifest(subject=subject)
    for content in (signature, plain):
        await push(pushing, digest_of(content), content)
    everything = await pushing.get(f"/v2/app/referrers/{DIGEST}")
    filtered = await pushing.get(f"/v2/app/referrers/{DIGEST}", params={"artifactType": "application/x.signature"})

    assert everything.headers["Content-Type"] == OCI_INDEX
    assert "OCI-Filters-Applied" not in everything.headers
    assert digests(everything) == [digest_of(signature), digest_of(plain)]
    assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
    assert filtered.json()["manifests"] == [
        {
            "mediaType": OCI_MANIFEST,
            "digest": digest_of(signature),
            "size": len(signature),
            "artifactType": "application/x.signature",
            "annotations": {"by": "me"},
        }
    ]
    assert everything.json()["manifests"][1]["artifactType"] == "application/vnd.oci.image.config.v1+json"


@pytest.mark.parametrize(
    "path, status",
    [(f"app/referrers/{digest_of(b'x')}", 200), (f"none/referrers/{digest_of(b'x')}", 404), ("app/referrers/sha256:x", 400)],
    ids=["unknown digest", "unknown repository", "malformed digest"],
)
async def test_referrers_of_what_is_not_there(client: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await client.get(f"/v2/{path}")

    assert answer.status_code == status
    if status == 200:
        assert digests(answer) == []


async def test_a_thousand_referrers_come_in_pages(pushing: httpx.AsyncClient) -> None:
    subject = a_descriptor(MANIFEST, media_type=OCI_MANIFEST)
    contents = [a_manifest(subject=subject, annotations={"number": str(number)}) for number in range(1005)]
    for start in range(0, len(contents), 100):
        await asyncio.gather(*(push(pushing, digest_of(each), each) for each in contents[start : start + 100]))
    found, path = list[Digest](), f"/v2/app/referrers/{DIGEST}"
    while path:
        answer = await pushing.get(path)
        found += digests(answer)
        path = answer.headers["Link"].partition(">")[0].removeprefix("<") if "Link" in answer.headers else ""

    assert len(found) == len(contents)
    assert set(found) == {digest_of(content) for content in contents}


async def test_a_page_of_referrers_stays_below_the_limit_of_a_manifest(pushing: httpx.AsyncClient) -> None:
    subject = a_descriptor(MANIFEST, media_type=OCI_MANIFEST)
    contents = [a_manifest(subject=subject, annotations={"large": str(number) * 1_500_000}) for number in range(4)]
    for content in contents:
        assert (await push(pushing, digest_of(content), content)).status_code == 201
    first = await pushing.get(f"/v2/app/referrers/{DIGEST}")
    second = await pushing.get(first.headers["Link"].partition(">")[0].removeprefix("<"))

    assert len(first.content) < 4_194_304
    assert digests(first) + digests(second) == [digest_of(content) for content in contents]
    assert "Link" not in second.headers
