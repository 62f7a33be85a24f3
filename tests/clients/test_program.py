"""What an operator meets: the program's starts, its output, its processes and its end."""

import os
import pty
import re
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import programs
from tests.programs import Program, ecru, slow_request
from tests.servers import Bucket, free_port, is_listening, is_running, wait_for

Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers in the test's folder and ends them, however the test went."""
    started: list[Program] = []

    def begin(*arguments: object, **how: Any) -> Program:  # noqa: ANN401 - what ``programs.start`` takes
        program = programs.start(tmp_path, *arguments, **how)
        started.append(program)
        return program

    yield begin
    for program in started:
        if program.process.poll() is None:
            program.process.kill()
        program.process.wait()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A server for tests that only ask it something."""
    program = programs.start(tmp_path_factory.mktemp("running"))
    yield program
    program.stop()


def secret_of(program: Program) -> str:
    found = re.search(r"AWS_SECRET_ACCESS_KEY=(\S+)", program.output)
    assert found is not None
    return found[1]


# --- starts ---------------------------------------------------------------------------------------------------------


def test_the_first_start_shows_the_key_and_keeps_it_where_only_its_owner_reads(start: Start) -> None:
    program = start()

    kept = program.folder / "data" / "root-credentials"
    assert secret_of(program) in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert re.search(r"AWS_ACCESS_KEY_ID=AKIA[A-Z2-7]{16}\n", program.output)
    assert len(secret_of(program)) == 40


def test_the_first_start_shows_lines_for_every_kind_of_client(start: Start) -> None:
    program = start()

    address = program.url.removeprefix("http://")
    for line in (
        f"export AWS_ENDPOINT_URL={program.url}",
        f"aws --endpoint-url {program.url} ecr create-repository --repository-name hello",
        f"docker login --username AWS --password-stdin {address}",
        f"skopeo login --tls-verify=false --username AWS --password-stdin {address}",
        f"docker push {address}/hello:1",
    ):
        assert line in program.output


def test_a_later_start_shows_nothing_of_the_secret(start: Start) -> None:
    first = start()
    secret = secret_of(first)
    first.stop()

    later = start()
    later.get("/v2/")
    later.stop()

    assert secret not in later.output + later.log
    assert "AWS_" not in later.output


def test_env_prints_the_lines_of_the_first_start_again(start: Start) -> None:
    program = start()
    port = program.url.rsplit(":", 1)[1]

    printed = ecru("env", "--data", program.folder / "data", "--port", port, folder=program.folder)

    assert printed.returncode == 0
    for line in printed.stdout.splitlines():
        assert f"  {line}\n" in program.output
    assert f"export AWS_SECRET_ACCESS_KEY={secret_of(program)}" in printed.stdout.splitlines()


def test_env_refuses_a_key_file_that_others_can_read(start: Start) -> None:
    program = start()
    kept = program.folder / "data" / "root-credentials"
    kept.chmod(0o644)

    printed = ecru("env", "--data", kept.parent, folder=program.folder)

    assert printed.returncode == 1
    assert printed.stdout == ""
    assert f"chmod 600 {kept}" in printed.stderr


def test_a_start_with_given_keys_prints_no_secret_and_keeps_none(start: Start) -> None:
    secret = "of-my-own-choosing-and-quite-long"

    program = start(environment={"ECRU_ROOT_ACCESS_KEY_ID": "AKIAUNATTENDED000000", "ECRU_ROOT_SECRET_ACCESS_KEY": secret})

    assert program.output == ""
    assert secret not in program.log
    assert not (program.folder / "data" / "root-credentials").exists()


def test_an_interrupted_first_start_goes_on_with_the_key_that_it_had_kept(tmp_path: Path, start: Start) -> None:
    data = tmp_path / "data"
    data.mkdir()
    kept = data / "root-credentials"
    kept.write_text("AWS_ACCESS_KEY_ID=AKIAKEPTKEPTKEPTKEPT\nAWS_SECRET_ACCESS_KEY=kept-kept-kept-kept\n")
    kept.chmod(0o600)

    program = start()

    assert "AWS_ACCESS_KEY_ID=AKIAKEPTKEPTKEPTKEPT\n" in program.output
    assert "kept-kept-kept-kept" in kept.read_text()


def test_faulty_and_unknown_settings_are_told_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "ecru.toml").write_text('prot = 5\nlog_level = "loud"\n')
    environment = {"ECRU_REGOIN": "eu-west-1", "ECRU_UPLOAD_EXPIRY": "soon", "ECRU_ROOT_ACCESS_KEY_ID": "AKIAUNATTENDED000000"}

    refused = ecru("serve", "--port", "70000", environment=environment, folder=tmp_path)

    assert refused.returncode == 2
    for told in (
        "--port: must be less than or equal to 65535",
        "ECRU_UPLOAD_EXPIRY: must be a span of time",
        "log_level: must be 'debug', 'info', 'warning' or 'error', not 'loud'",
        "prot: is not a setting; did you mean port?",
        "ECRU_REGOIN: is not a setting; did you mean ECRU_REGION?",
        "root_secret_access_key: must be set, since root_access_key_id is",
    ):
        assert told in refused.stderr
    assert not (tmp_path / "data").exists()


def test_a_start_is_refused_when_the_port_is_taken(tmp_path: Path, running: Program) -> None:
    port = running.url.rsplit(":", 1)[1]

    refused = ecru("serve", "--port", port, "--data", tmp_path / "data", folder=tmp_path)

    assert refused.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in refused.stderr


def test_a_second_server_on_the_same_data_folder_is_refused_by_name(running: Program) -> None:
    refused = ecru("serve", "--port", free_port(), "--data", running.folder / "data", folder=running.folder)

    assert refused.returncode == 1
    assert f"another server (process {running.process.pid}) uses the data folder" in refused.stderr
    assert running.get("/metrics").is_success


def test_a_data_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")

    refused = ecru("serve", "--port", free_port(), "--data", tmp_path / "data", folder=tmp_path)

    assert refused.returncode == 1
    assert f"the data folder {tmp_path / 'data'} cannot be used" in refused.stderr


def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    assert ecru("migrate", "--data", tmp_path / "data", folder=tmp_path).returncode == 0
    with sqlite3.connect(tmp_path / "data" / "ecru.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'from the future'")
    database.close()

    for command in (["serve", "--port", free_port()], ["migrate"]):
        refused = ecru(*command, "--data", tmp_path / "data", folder=tmp_path)

        assert refused.returncode == 1
        assert '"from the future", which this program does not know' in refused.stderr


def test_a_database_that_was_sealed_with_another_server_key_is_refused(start: Start) -> None:
    program = start()
    program.stop()
    (program.folder / "data" / "server.key").unlink()

    refused = ecru("serve", "--port", free_port(), "--data", program.folder / "data", folder=program.folder)

    assert refused.returncode == 1
    assert "which this node does not have" in refused.stderr


# --- addresses ------------------------------------------------------------------------------------------------------


def test_it_listens_on_ipv6(start: Start) -> None:
    program = start(host="::1")

    assert program.get("/healthz").text == "ok\n"
    assert f"export AWS_ENDPOINT_URL={program.url}\n" in program.output


def test_it_listens_on_a_host_name(start: Start) -> None:
    assert start(host="localhost").get("/healthz").text == "ok\n"


def test_it_speaks_tls_with_http_1_and_2(tmp_path: Path, start: Start) -> None:
    certificate, key = make_certificate(tmp_path, "first")
    trust = ssl.create_default_context(cafile=certificate)

    program = start("--tls-certificate", certificate, "--tls-key", key, verify=trust)

    assert program.get("/healthz").text == "ok\n"
    assert f"export AWS_ENDPOINT_URL={program.url}\n" in program.output
    offered = ssl.create_default_context(cafile=certificate)
    offered.set_alpn_protocols(["h2", "http/1.1"])
    with offered.wrap_socket(connect(program), server_hostname="127.0.0.1") as connection:
        assert connection.selected_alpn_protocol() == "h2"


def test_a_hangup_reads_the_certificate_again_and_keeps_answering(tmp_path: Path, start: Start) -> None:
    certificate, key = make_certificate(tmp_path, "first")
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    program = start("--tls-certificate", certificate, "--tls-key", key, verify=unchecked)
    make_certificate(tmp_path, "second")

    program.process.send_signal(signal.SIGHUP)
    names = set[str]()

    def is_new() -> bool:
        names.clear()
        # Several, since each worker has its own.
        for _ in range(8):
            with unchecked.wrap_socket(connect(program)) as connection:
                shown = connection.getpeercert(binary_form=True)
                assert shown is not None
                names.add(x509.load_der_x509_certificate(shown).subject.rfc4514_string())
        return names == {"CN=second"}

    wait_for(is_new, "the new certificate", 40)
    assert program.process.poll() is None


def test_a_closed_terminal_stops_the_server_that_was_started_on_it(tmp_path: Path) -> None:
    terminal, its_end = pty.openpty()
    with (tmp_path / "stderr").open("w") as stderr, os.fdopen(its_end) as stdin:
        process = subprocess.Popen(
            [sys.executable, "-m", "ecru", "serve", "--port", str(free_port())],
            cwd=tmp_path,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    wait_for(lambda: "listening" in (tmp_path / "stderr").read_text(), "the server")

    # As the kernel does it when a terminal goes away.
    process.send_signal(signal.SIGHUP)

    assert process.wait(programs.STOP_SECONDS) == 0
    os.close(terminal)


@pytest.mark.parametrize("fault", ["missing", "of another key"])
def test_tls_files_that_cannot_be_used_are_refused(tmp_path: Path, fault: str) -> None:
    certificate, key = make_certificate(tmp_path, "first")
    if fault == "missing":
        key = tmp_path / "nowhere.key"
    else:
        certificate.rename(tmp_path / "other.pem")
        make_certificate(tmp_path, "first")
        certificate = tmp_path / "other.pem"

    refused = ecru("serve", "--port", free_port(), "--tls-certificate", certificate, "--tls-key", key, folder=tmp_path)

    assert refused.returncode == 1
    assert f"TLS cannot be used with {certificate} and {key}" in refused.stderr


def connect(program: Program) -> socket.socket:
    host, port = program.url.split("//")[1].rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1, in place of the one before."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(programs.LOOPBACK)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "server.pem", folder / "server.key"


# --- processes ------------------------------------------------------------------------------------------------------


def test_it_runs_the_web_workers_and_one_job_worker(start: Start) -> None:
    program = start("--workers", 3)

    wait_for(lambda: len(program.children()) == 4, "all children")


def test_workers_that_die_are_replaced(start: Start) -> None:
    program = start("--workers", 1)
    wait_for(lambda: len(program.children()) == 2, "all children")
    before = program.children()

    for child in before:
        os.kill(child, signal.SIGKILL)

    wait_for(lambda: len(program.children() - before) == len(before), "new workers")
    wait_for(program.answers, "an answer of the new worker")
    assert not any(is_running(child) for child in before)


def test_no_child_outlives_a_killed_parent(start: Start) -> None:
    program = start()
    wait_for(lambda: len(program.children()) == 3, "all children")
    children = program.children()
    port = program.url.rsplit(":", 1)[1]

    program.process.kill()
    program.process.wait()

    wait_for(lambda: not any(is_running(child) for child in children), "the children to end")
    # A process counts as ended with its main thread; its sockets go with the last one.
    wait_for(lambda: not is_listening(int(port)), "the port to be free")
    assert start(port=int(port)).answers()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_stop_finishes_what_was_accepted(start: Start, how: signal.Signals) -> None:
    program = start("--workers", 1)
    children = program.children()
    with slow_request(program, body_bytes=4) as request:
        wait_for(program.answers, "the worker to have read the request")

        # As a terminal does it: to every process.
        os.killpg(program.process.pid, how)
        wait_for(lambda: not is_listening(int(program.url.rsplit(":", 1)[1])), "new connections to be refused")
        request.sendall(b"body")
        answer = request.recv(4096)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert program.process.wait(programs.STOP_SECONDS) == 0
    assert not any(is_running(child) for child in children)
    assert "Traceback" not in program.log


def test_a_stop_while_it_starts_ends_it_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for _ in range(5):
        with (tmp_path / "stderr").open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "ecru", "serve", "--port", str(free_port()), "--data", str(folder)],
                cwd=tmp_path,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        wait_for(lambda: "listening" in (tmp_path / "stderr").read_text(), "the workers to be started")

        process.terminate()

        # Far below the shutdown timeout.
        assert process.wait(10) == 0


def test_a_stop_does_not_wait_for_ever(start: Start) -> None:
    program = start("--workers", 1, "--shutdown-timeout", "1s")
    with slow_request(program, body_bytes=4):
        wait_for(program.answers, "the worker to have read the request")

        assert program.stop() == 0


# --- what is seen ---------------------------------------------------------------------------------------------------


def test_health_and_readiness_need_no_credentials_and_tell_nothing(running: Program) -> None:
    for path, text in (("/healthz", "ok\n"), ("/readyz", "ready\n")):
        answer = running.get(path)

        assert (answer.status_code, answer.text) == (200, text)


def test_metrics_add_up_over_all_workers_and_survive_their_deaths(start: Start) -> None:
    program = start("--workers", 2)

    def unauthorized() -> float:
        found = re.search(
            r'^ecru_requests_total\{route="GET /v2/",status="401"\} (\S+)$', program.get("/metrics").text, re.MULTILINE
        )
        return float(found[1]) if found else 0

    for _ in range(20):
        program.get("/v2/")
    assert unauthorized() == 20
    for child in program.children():
        os.kill(child, signal.SIGKILL)
    wait_for(lambda: len(program.children()) == 3, "new workers")
    wait_for(program.answers, "an answer")
    assert unauthorized() == 20


def test_every_answer_has_a_request_id_which_is_in_the_log(start: Start) -> None:
    program = start("--log-format", "json")

    answers = [program.get(path) for path in ("/v2/", "/healthz", "/nowhere")]

    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 3
    wait_for(lambda: all(f'"request_id": "{each}"' in program.log for each in ids), "the request log")


def test_check_finds_nothing_wrong_with_a_running_server(running: Program) -> None:
    port = running.url.rsplit(":", 1)[1]

    report = ecru("check", "--data", running.folder / "data", "--port", port, folder=running.folder)

    assert report.returncode == 0, report.stdout
    assert f"answers at {running.url}" in report.stdout


def test_check_fails_and_names_what_is_wrong(tmp_path: Path, running: Program) -> None:
    key = tmp_path / "data" / "server.key"
    key.parent.mkdir()
    key.write_text("not a key\n")
    key.chmod(0o600)

    report = ecru("check", "--data", key.parent, "--port", running.url.rsplit(":", 1)[1], folder=tmp_path)

    assert report.returncode == 1
    assert "server key 1 is not 32 bytes in base64" in report.stdout


def test_version_names_what_decides_how_it_behaves(tmp_path: Path) -> None:
    printed = ecru("version", folder=tmp_path)

    assert re.fullmatch(r"ecru \S+ \(Python \S+, botocore \S+, linux\)\n", printed.stdout)


def test_the_installed_command_is_the_module(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("ecru")

    printed = subprocess.run([command, "version"], capture_output=True, text=True, cwd=tmp_path, check=True)

    assert printed.stdout == ecru("version", folder=tmp_path).stdout


def test_a_worker_alone_refuses_a_database_that_nobody_has_migrated(tmp_path: Path) -> None:
    refused = ecru("worker", "--data", tmp_path / "data", folder=tmp_path)

    assert refused.returncode == 1
    assert 'Run "ecru migrate" first.' in refused.stderr


def test_a_worker_alone_runs_beside_a_server_and_stops_when_told(running: Program) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ecru", "worker", "--data", str(running.folder / "data"), "--log-level", "debug"],
        cwd=running.folder,
        stderr=subprocess.PIPE,
    ) as worker:
        wait_for(lambda: has_handler(worker.pid, signal.SIGTERM), "the worker to have begun")
        worker.terminate()

        assert worker.wait(programs.STOP_SECONDS) == 0


def has_handler(process: int, which: signal.Signals) -> bool:
    found = re.search(r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> (which - 1) & 1)


# --- many nodes -----------------------------------------------------------------------------------------------------


def test_nodes_that_share_a_database_share_the_server_key(tmp_path: Path, postgresql_url: str) -> None:
    blobs = f"file://{tmp_path}/blobs"
    first = programs.start(tmp_path / "first", "--database", postgresql_url, "--blobs", blobs)
    try:
        key = first.folder / "data" / "server.key"
        stranger = ecru(
            *("serve", "--port", free_port(), "--data", tmp_path / "stranger", "--database", postgresql_url, "--blobs", blobs),
            folder=tmp_path,
        )
        second = programs.start(
            tmp_path / "second", "--database", postgresql_url, "--blobs", blobs, "--server-key-file", key, "--regions", "eu-west-1"
        )
        ready = second.get("/readyz").text
        assert second.stop() == 0
    finally:
        assert first.stop() == 0

    assert ready == "ready\n"
    # The account has its key: it is not made, or shown, twice.
    assert second.output == ""
    assert stranger.returncode == 1
    assert "which this node does not have" in stranger.stderr


def test_a_database_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    unreachable = f"postgresql://ecru:hidden@127.0.0.1:{free_port()}/ecru"

    refused = ecru("serve", "--port", free_port(), "--data", tmp_path / "data", "--database", unreachable, folder=tmp_path)

    assert refused.returncode == 1
    assert refused.stderr.startswith("ecru cannot start: ")
    assert "hidden" not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_it_keeps_blobs_in_a_bucket(tmp_path: Path, s3_bucket: Bucket, start: Start) -> None:
    keys = {"ECRU_BLOBS_ACCESS_KEY_ID": s3_bucket.access_key_id, "ECRU_BLOBS_SECRET_ACCESS_KEY": s3_bucket.secret_access_key}

    program = start("--blobs", s3_bucket.url(), environment=keys)

    assert program.get("/readyz").text == "ready\n"
    assert not (tmp_path / "data" / "blobs").exists()
