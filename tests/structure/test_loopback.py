import socket

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "registry.example"])
def test_the_code_of_tests_reaches_loopback_only(host: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="only loopback"):
        socket.create_connection((host, 80), timeout=1)


def test_the_code_of_tests_reaches_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        assert client.getpeername() == listener.getsockname()
