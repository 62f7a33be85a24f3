"""docs/tutorial.md, word for word: its commands are run, and what they print is what it says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import programs
from tests.peers import peer
from tests.servers import free_port

PAGE = Path(__file__).parent.parent.parent / "docs" / "tutorial.md"
# As the page has it.
PORT = 5050
BETWEEN = "--- next block ---"


@dataclass(frozen=True, slots=True)
class Step:
    """Commands of one block, and what the page says that they print; ``…`` stands for anything."""

    commands: str
    printed: str


def read_steps(page: str) -> list[Step]:
    """Read the blocks marked ``sh``, each with the block marked ``text`` that follows it before the next one."""
    blocks = re.findall(r"^```(sh|text)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    follows = [*blocks[1:], ("", "")]
    return [
        Step(text, after if kind_after == "text" else "")
        for (kind, text), (kind_after, after) in zip(blocks, follows, strict=True)
        if kind == "sh"
    ]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[programs.Program]:
    """A server such as ``make serve`` starts, but for its port."""
    running = programs.start(tmp_path, port=free_port())
    yield running
    running.stop()


def test_the_tutorial_does_what_it_says(server: programs.Program, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    steps = read_steps(PAGE.read_text().replace(f":{PORT}", f":{port}"))
    (tmp_path / ".venv").symlink_to(sys.prefix)
    script = f"echo '{BETWEEN}'\n".join(["set -eo pipefail\nexec 2>&1\n", *(step.commands for step in steps)])
    found = [peer("aws"), peer("skopeo"), peer("umoci")]
    environment = os.environ | {
        "ECRU_PORT": port,
        "HOME": str(tmp_path),
        "PATH": os.pathsep.join([*(str(program.parent) for program in found), os.environ["PATH"]]),
        "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"),
    }

    run = subprocess.run(
        [shutil.which("bash") or "bash", "-c", script],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    _, *printed = run.stdout.split(f"{BETWEEN}\n")

    assert run.returncode == 0, run.stdout
    assert len(printed) == len(steps) > 5
    for step, said in zip(steps, printed, strict=True):
        expected = ".*".join(map(re.escape, step.printed.split("…")))
        assert re.fullmatch(expected, said, re.DOTALL), f"{step.commands}\nsays\n{said}"
