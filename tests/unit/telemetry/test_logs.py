"""Log lines: what is in them, and what a client cannot put there."""

import io
import json
import threading
from itertools import islice
from typing import TextIO
from uuid import UUID

import pytest
from typing_extensions import override

from ecru.telemetry.exchange import Exchange, request_ids
from ecru.telemetry.logs import RequestLog, request_as_json, request_for_people


def an_exchange(**others: object) -> Exchange:
    values: dict[str, object] = {
        "request_id": "2f1c2f0e-1111-4222-8333-000000000001",
        "method": "GET",
        "path": "/v2/app/tags/list",
        "client": "198.51.100.7",
        "user_agent": "docker/29.0",
        "began_at": 1_800_000_000.25,
        "route": "GET /v2/{name}/tags/list",
        "status": 200,
        "seconds": 0.00125,
        "offered_bytes": 42,
    }
    return Exchange(**{**values, **others})  # type: ignore[arg-type]


def test_a_request_is_one_line_of_json() -> None:
    line = request_as_json(an_exchange(principal="arn:aws:iam::000000000000:root"))

    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2027-01-15T08:00:00.250000Z",
        "level": "info",
        "event": "request",
        "request_id": "2f1c2f0e-1111-4222-8333-000000000001",
        "client": "198.51.100.7",
        "method": "GET",
        "path": "/v2/app/tags/list",
        "route": "GET /v2/{name}/tags/list",
        "status": 200,
        "principal": "arn:aws:iam::000000000000:root",
        "milliseconds": 1.25,
        "received_bytes": 0,
        "offered_bytes": 42,
        "user_agent": "docker/29.0",
    }


def test_a_request_is_one_line_for_people() -> None:
    line = request_for_people(an_exchange())

    assert line.startswith("2027-01-15T08:00:00.250000Z [request  ] 200 GET /v2/app/tags/list ")
    assert "milliseconds=1.25" in line


@pytest.mark.parametrize("render", [request_as_json, request_for_people])
@pytest.mark.parametrize("sent", ["a\nforged line", "\x1b[2Jcleared", "\u202ebackwards", "carriage\rreturn", "nul\0"])
def test_what_a_client_sends_writes_no_line_and_no_control_sequence(render: object, sent: str) -> None:
    assert callable(render)
    line = render(an_exchange(path=f"/{sent}", user_agent=sent, method=sent))

    assert line.isascii()
    assert line.isprintable()


def test_each_request_has_an_id_of_its_own_in_the_form_of_a_uuid() -> None:
    ids = list(islice(request_ids(), 1000)) + list(islice(request_ids(), 1000))

    assert len({UUID(each) for each in ids}) == 2000


def test_what_was_added_is_written_when_the_log_closes() -> None:
    written = io.StringIO()

    with RequestLog(lambda exchange: str(exchange.status), written) as log:
        for status in (200, 201, 404):
            log.add(an_exchange(status=status))

    assert written.getvalue() == "200\n201\n404\n"


def test_what_was_added_is_written_while_requests_go_on() -> None:
    wrote = threading.Event()

    class Told(io.StringIO):
        @override
        def write(self, text: str) -> int:
            wrote.set()
            return super().write(text)

    with RequestLog(lambda exchange: str(exchange.status), Told()) as log:
        log.add(an_exchange())

        assert wrote.wait(10)


def test_a_reader_that_is_gone_does_not_stop_the_log() -> None:
    class Closed(io.StringIO):
        @override
        def write(self, text: str) -> int:
            raise BrokenPipeError

    closed: TextIO = Closed()
    with RequestLog(lambda _: "line", closed) as log:
        log.add(an_exchange())
