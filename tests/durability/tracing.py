"""What a server asked of the operating system, call by call, in the order in which it was done.

``strace`` writes a line for each call, or two when calls of several threads overlap: ``<unfinished ...>`` and ``resumed``. So a
call has a beginning and an end, both numbers of lines, and one call was done *before* another only if it ended before the
other began.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from typing_extensions import override

from tests.peers import peer

_TRACED: Final = (
    "clone,clone3,fork,vfork",  # which thread belongs to which process
    "openat,creat,mkdir,mkdirat,link,linkat,rename,renameat,renameat2,unlink,unlinkat,rmdir",  # names
    "write,writev,pwrite64,pwritev,pwritev2,copy_file_range,sendfile,ftruncate",  # bytes
    "fsync,fdatasync,sync_file_range",
    "read,readv,recvfrom,recvmsg,sendto,sendmsg",  # what is said on sockets
)
_SHOWN_BYTES: Final = 1024

_LINE: Final = re.compile(r"(?P<thread>\d+) +(?P<rest>.*)")
_WHOLE: Final = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?).*", re.DOTALL)
_UNFINISHED: Final = re.compile(r"(?P<name>\w+)\((?P<arguments>.*) <unfinished \.\.\.>")
_RESUMED: Final = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")
_FILE: Final = re.compile(r"\d+<(?P<path>/[^>]*)>")
_CONNECTION: Final = re.compile(r"\d+<TCP(?:v6)?:\[(?P<here>\S+)->(?P<there>\S+)\]>")
_TEXT: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_NAMING: Final = tuple(_TRACED[1].split(","))
_MADE: Final = frozenset({"clone", "clone3", "fork", "vfork"})


def traced(command: Sequence[str | Path], file: Path) -> tuple[str | Path, ...]:
    """The command, with what it does written to a file, its children's doings too."""
    options = ("-f", "--seccomp-bpf", "-yy", "-s", str(_SHOWN_BYTES), "-e", f"trace={','.join(_TRACED)}", "-e", "signal=none")
    return (peer("strace"), *options, "-o", file, *command)


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that succeeded."""

    thread: int
    name: str
    arguments: str
    result: int
    begin: int
    end: int

    @property
    def path(self) -> str:
        """The file or folder its first argument stands for; empty for anything else."""
        found = _FILE.match(self.arguments)
        return found["path"] if found else ""

    @property
    def target(self) -> str:
        """The file it writes to, which is the second one when it copies from a first."""
        found = _FILE.findall(self.arguments) if self.name == "copy_file_range" else [self.path]
        return found[-1] if found else ""

    @property
    def names(self) -> list[str]:
        """What it says in quotes: the names it makes, the bytes it passes."""
        return _TEXT.findall(self.arguments)

    @property
    def connection(self) -> str:
        """Both ends of the connection that it writes to or reads from; empty for anything else."""
        found = _CONNECTION.match(self.arguments)
        return found[0].partition("<")[2] if found else ""

    @property
    def peer_port(self) -> int:
        """Who is at the other end of the connection that it writes to or reads from; 0 for anything else."""
        found = _CONNECTION.match(self.arguments)
        return int(found["there"].rpartition(":")[2]) if found else 0

    @property
    def text(self) -> str:
        """The bytes that it passed, as strace writes them, and cut off."""
        return "".join(self.names)

    @override
    def __str__(self) -> str:
        return f"line {self.begin}: {self.name}({self.arguments[:150]})"


class Trace:
    """The calls of a server, in the order in which they ended."""

    def __init__(self, file: Path) -> None:
        self.calls = sorted(_read(file), key=lambda call: call.end)

    def between(self, begin: int, end: int, *names: str) -> list[Call]:
        """The calls of these names that began after one line and ended before another."""
        return [call for call in self.calls if call.name in names and call.begin > begin and call.end < end]

    def names_at(self, line: int, below: Path) -> Mapping[str, Call]:
        """The names below a folder, and its own, that were made by then and not taken away again, and what made them."""
        found: dict[str, Call] = {}
        for call in self.between(0, line, *_NAMING):
            names = [name for name in call.names if Path(name).is_relative_to(below)]
            if not names or (call.name in {"openat", "creat"} and ("O_CREAT" not in call.arguments or names[0] in found)):
                continue
            if call.name.startswith(("unlink", "rmdir", "rename")):
                found.pop(names[0], None)
            if not call.name.startswith(("unlink", "rmdir")):
                found[names[-1]] = call
        return found

    def process_of(self, thread: int) -> int:
        """The process that a thread belongs to."""
        return self._processes.get(thread, thread)

    @cached_property
    def _processes(self) -> Mapping[int, int]:
        found: dict[int, int] = {}
        for call in sorted(self.calls, key=lambda call: call.begin):
            if call.name in _MADE and "CLONE_THREAD" in call.arguments:
                found[call.result] = found.get(call.thread, call.thread)
        return found


def _read(file: Path) -> Iterator[Call]:
    begun: dict[int, tuple[int, str]] = {}
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        parts = _LINE.fullmatch(line)
        if parts is None:
            continue
        thread, rest = int(parts["thread"]), parts["rest"]
        begin = number
        if unfinished := _UNFINISHED.fullmatch(rest):
            begun[thread] = (number, f"{unfinished['name']}({unfinished['arguments']}")
            continue
        if resumed := _RESUMED.fullmatch(rest):
            begin, start = begun.pop(thread)
            rest = f"{start}{resumed['rest']}"
        call = _WHOLE.fullmatch(rest)
        if call and call["result"] != "?" and int(call["result"]) >= 0:
            yield Call(thread, call["name"], call["arguments"], int(call["result"]), begin, number)
