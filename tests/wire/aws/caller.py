"""A client of the AWS door: requests built and signed by botocore, answers parsed by it, no socket in between."""

import contextlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.parsers
import botocore.session
import httpx
import pytest

from ecru.access.bootstrap import Credentials
from ecru.aws.faults import COMMON_ERRORS
from ecru.aws.model import Fault, Kind, Operation, Service, compile_service, load
from ecru.oci.digest import digest_of
from tests.making import a_config, a_layer, a_manifest
from tests.wire.serving import HOST, REGION, ROOT, Server


class Refused(Exception):
    """An error of the service, as an SDK shows it."""

    def __init__(self, code: str, message: str, status: int, document: dict[str, Any]) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.document = document


@dataclass
class Caller:
    """Calls the operations of one service for one principal."""

    server: Server
    service: str
    credentials: Credentials = ROOT
    region: str = REGION
    session_token: str | None = None
    host: str = HOST

    async def __call__(self, name: str, /, **members: object) -> dict[str, Any]:
        """Call an operation; what comes back must be what the model promises.

        Raises:
            Refused: the service answered an error.
        """
        answer = await self.send(self.request(name, **members))
        return self.read(name, answer)

    async def refusal(self, name: str, /, **members: object) -> Refused:
        """Call an operation that must be refused, and answer the error."""
        with pytest.raises(Refused) as raised:
            await self(name, **members)
        return raised.value

    def request(self, name: str, /, **members: object) -> botocore.awsrequest.AWSPreparedRequest:
        """Build and sign a request; nothing is checked on this side."""
        client = self._client()
        model = client.meta.service_model.operation_model(name)
        context = {"client_region": self.region, "client_config": client.meta.config, "has_streaming_input": False}
        built = client._convert_to_request_dict(members, model, f"http://{self.host}", context)
        prepared: botocore.awsrequest.AWSPreparedRequest = client._endpoint.create_request(built, model)
        return prepared

    def raw(self, body: bytes, *, target: str, **headers: str) -> botocore.awsrequest.AWSPreparedRequest:
        """Sign a request of the JSON protocol that botocore would not make."""
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target, **headers}
        request = botocore.awsrequest.AWSRequest("POST", f"http://{self.host}/", headers, body)
        credentials = botocore.credentials.Credentials(self.credentials.access_key_id, self.credentials.secret_access_key)
        botocore.auth.SigV4Auth(credentials, self.service, self.region).add_auth(request)
        prepared: botocore.awsrequest.AWSPreparedRequest = request.prepare()
        return prepared

    async def send(self, request: botocore.awsrequest.AWSPreparedRequest) -> httpx.Response:
        """Send a request as it is."""
        async with self.server.http(authorization=None, host=self.host) as http:
            headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
            return await http.request(request.method, request.url, headers=headers, content=request.body)

    def read(self, name: str, answer: httpx.Response) -> dict[str, Any]:
        """Parse an answer and hold it against the model."""
        service = load(self.service)
        operation, model = service.operations[name], self._client().meta.service_model.operation_model(name)
        raw = {"status_code": answer.status_code, "headers": dict(answer.headers), "body": answer.content}
        parsed: dict[str, Any] = botocore.parsers.create_parser(service.protocol).parse(raw, model.output_shape)
        metadata = parsed.pop("ResponseMetadata")
        assert metadata["RequestId"] == answer.headers["x-amzn-requestid"] == answer.headers["x-request-id"]
        if answer.status_code == 200:
            if service.protocol == "json" and operation.output_shape is not None:
                assert_valid(service, operation.output_shape, answer.json())
            return parsed
        error = parsed["Error"]
        if service.protocol == "json":
            assert answer.headers["x-amzn-errortype"] == error["Code"]
            assert error["Code"] in operation.errors | COMMON_ERRORS, f"{name} has no error {error['Code']}"
        document = json.loads(answer.content) if service.protocol == "json" else {}
        raise Refused(error["Code"], error["Message"], answer.status_code, document)

    def _client(self) -> Any:  # noqa: ANN401 - a client of botocore has no type
        return _client(self.service, self.credentials, self.region, self.session_token, self.host)


@cache
def _client(service: str, credentials: Credentials, region: str, session_token: str | None, host: str) -> Any:  # noqa: ANN401 - the same
    return botocore.session.Session().create_client(
        service,
        region_name=region,
        endpoint_url=f"http://{host}",
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=session_token,
        config=botocore.config.Config(parameter_validation=False),
    )


async def push_layer(ecr: Caller, content: bytes, *, repository: str = "app") -> str:
    """Push a layer through the API in one part, and answer its digest."""
    upload = await ecr("InitiateLayerUpload", repositoryName=repository)
    where = {"repositoryName": repository, "uploadId": upload["uploadId"]}
    await ecr("UploadLayerPart", **where, partFirstByte=0, partLastByte=len(content) - 1, layerPartBlob=content)
    completed = await ecr("CompleteLayerUpload", **where, layerDigests=[digest_of(content)])
    return str(completed["layerDigest"])


async def push_image(ecr: Caller, *, tag: str | None = None, repository: str = "app", text: str = "hello") -> str:
    """Push an image with one layer through the API, and answer its digest; another text makes another image."""
    layer = a_layer(text)
    for content in (layer, a_config()):
        with contextlib.suppress(Refused):  # the config is there already, from the image before
            await push_layer(ecr, content, repository=repository)
    named = {} if tag is None else {"imageTag": tag}
    put = await ecr("PutImage", repositoryName=repository, imageManifest=a_manifest(layers=[layer]).decode(), **named)
    return str(put["image"]["imageId"]["imageDigest"])


def assert_valid(service: Service, shape: str, document: object) -> None:
    """Hold an answer against its shape: types, enumerations and required members; the service itself passes its own limits."""
    faults: list[Fault] = []
    _probe(service.name, shape).check({"value": document}, "", faults)
    assert [fault for fault in faults if fault.kind not in {Kind.LENGTH, Kind.RANGE}] == []


@cache
def _probe(service_name: str, shape: str) -> Operation:
    service = load(service_name)
    shapes = {**service.shapes, "Probe": {"type": "structure", "members": {"value": {"shape": shape}}}}
    metadata = {"protocol": service.protocol, "apiVersion": "1", "endpointPrefix": "probe"}
    operation = {"name": "Probe", "input": {"shape": "Probe"}}
    return compile_service("probe", {"metadata": metadata, "operations": {"Probe": operation}, "shapes": shapes}).operations[
        "Probe"
    ]
