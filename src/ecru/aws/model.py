"""The service models that botocore ships, compiled: what a request may say, and how an answer is written.

How it works. ``load`` reads the model of a service once and compiles each shape it meets to a closure:

- an input shape to ``check(value, path, faults)``, which turns a wire value into the handler's words (snake_case keywords,
  aware datetimes, bytes) and collects everything that is wrong with it. Wording the faults is a second step (``faults``).
- an output shape to ``render(value)``, which turns a handler's answer (dataclasses, dicts) into a JSON-ready wire value.

botocore's own validator does not serve: it lets lengths, patterns and enumerations pass, and refuses unknown members and
nulls, which the service ignores.

Every check ends in bounded time, whatever the value: length is checked before pattern, a list above its maximum is not
entered, and a pattern that can be made to backtrack is replaced (``REPLACED_PATTERNS``).
"""

import base64
import binascii
import gzip
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, partial
from importlib.resources import files
from types import MappingProxyType
from typing import Any

# A shape as the model writes it: JSON, read only here and by the protocol that has to walk it (``query``).
Shape = Mapping[str, Any]
Check = Callable[[object, str, list["Fault"]], Any]
Render = Callable[[Any], Any]

# Lists without a maximum in the model (tags, prefixes) end here, so that a body within its limit cannot hold a million faults.
LIST_LIMIT = 1_000

# By the model's pattern, so that an entry dies with the pattern it was made for.
REPLACED_PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        # ECR, ScanningRepositoryFilterValue: backtracks exponentially (26 characters took 84 s). The same language,
        # without the ambiguity: words of [a-z0-9*] joined by single separators.
        r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$": r"[a-z0-9*]+(?:[._\-/][a-z0-9*]+)*",
        # STS and IAM, tag keys and values: `re` knows no \p{…}. Letters and numbers are \w without the underscore, which the
        # set has anyway; the separators are spelled out.
        r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+": r"(?u:[\w \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000.:/=+\-@]+)",
        r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*": r"(?u:[\w \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000.:/=+\-@]*)",
        # STS, ARNs: Java reads \u10000 as U+1000 and a zero; what is meant are the planes above the first.
        r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+": (
            r"[\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+"
        ),
    }
)


class Kind(StrEnum):
    """What a value breaks."""

    TYPE = "type"
    REQUIRED = "required"
    RANGE = "range"
    LENGTH = "length"
    PATTERN = "pattern"
    ENUM = "enum"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request: where, with which value, and what would be right."""

    path: str
    value: object
    kind: Kind
    constraint: str


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """An error as the model declares it: its code on the wire, HTTP status and members beside the message."""

    name: str
    code: str
    status: int
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as the model declares it.

    ``members`` tells each keyword of the input whether it is required; ``action`` is the IAM action of the same name.
    """

    name: str
    action: str
    signed: bool
    members: Mapping[str, bool] = field(repr=False)
    errors: frozenset[str] = field(repr=False)
    input_shape: str | None
    output_shape: str | None
    result_wrapper: str | None
    check: Check = field(repr=False)
    render: Render = field(repr=False)


@dataclass(frozen=True, slots=True)
class Service:
    """A service: how requests name it, and what it can do.

    ``target_prefix`` is of the JSON protocol, ``api_version`` and ``xml_namespace`` of the Query protocol.
    """

    name: str
    signing_name: str
    protocol: str
    api_version: str
    target_prefix: str | None
    xml_namespace: str | None
    operations: Mapping[str, Operation] = field(repr=False)
    errors: Mapping[str, ErrorShape] = field(repr=False)
    shapes: Mapping[str, Shape] = field(repr=False)


@cache
def load(name: str) -> Service:
    """Read and compile the newest model of a service that botocore ships, by botocore's name for it (``ecr-public``)."""
    versions = files("botocore").joinpath("data", name).iterdir()
    newest = max(versions, key=lambda version: version.name)
    return compile_service(name, json.loads(gzip.decompress(newest.joinpath("service-2.json.gz").read_bytes())))


def compile_service(name: str, model: Mapping[str, Any]) -> Service:
    """Compile a service model in botocore's format.

    Raises:
        NotImplementedError: the model uses something of the format that is not understood here.
    """
    metadata = model["metadata"]
    if metadata["protocol"] not in {"json", "query"}:
        raise NotImplementedError(f"the service '{name}' speaks the protocol '{metadata['protocol']}'")
    shapes = {shape_name: _without_documentation(shape) for shape_name, shape in model["shapes"].items()}
    compiler = _Compiler(shapes)
    signing_name = metadata.get("signingName", metadata["endpointPrefix"])
    return Service(
        name=name,
        signing_name=signing_name,
        protocol=metadata["protocol"],
        api_version=metadata["apiVersion"],
        target_prefix=metadata.get("targetPrefix"),
        xml_namespace=metadata.get("xmlNamespace"),
        operations=MappingProxyType(
            {
                operation_name: _compile_operation(signing_name, operation, shapes, compiler)
                for operation_name, operation in model["operations"].items()
            }
        ),
        errors=MappingProxyType({name: _error(name, shape) for name, shape in shapes.items() if shape.get("exception")}),
        shapes=MappingProxyType(shapes),
    )


def snake(name: str) -> str:
    """Turn a member's wire name into the keyword of a handler: ``imageTagMutability`` → ``image_tag_mutability``."""
    return _WORD_START.sub("_", name).lower()


_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


# --- reading ----------------------------------------------------------------------------------------------------------


def _without_documentation(shape: Shape) -> Shape:
    kept: dict[str, Any] = {key: value for key, value in shape.items() if key != "documentation"}
    members: Mapping[str, Shape] = kept.get("members", {})
    unknown = {trait for member in members.values() for trait in member} - {
        *("shape", "documentation", "deprecated", "deprecatedMessage", "deprecatedSince"),
    }
    if unknown:
        raise NotImplementedError(f"the model places members by {sorted(unknown)}")
    if "members" in kept:
        kept["members"] = {name: {"shape": member["shape"]} for name, member in members.items()}
    return kept


def _error(name: str, shape: Shape) -> ErrorShape:
    declared = shape.get("error", {})
    status = declared.get("httpStatusCode", 500 if shape.get("fault") else 400)
    members = frozenset(shape["members"]) - {"message", "Message"}
    return ErrorShape(name, declared.get("code", name), status, members)


def _compile_operation(signing_name: str, operation: Shape, shapes: Mapping[str, Shape], compiler: "_Compiler") -> Operation:
    input_shape: str | None = operation.get("input", {}).get("shape")
    output_shape: str | None = operation.get("output", {}).get("shape")
    fields: Shape = shapes[input_shape] if input_shape else {"members": {}}
    required = frozenset(fields.get("required", ()))
    return Operation(
        name=operation["name"],
        action=f"{signing_name}:{operation['name']}",
        signed=operation.get("authtype") != "none",
        members=MappingProxyType({snake(member): member in required for member in fields["members"]}),
        errors=frozenset(error["shape"] for error in operation.get("errors", ())),
        input_shape=input_shape,
        output_shape=output_shape,
        result_wrapper=operation.get("output", {}).get("resultWrapper"),
        check=compiler.check(input_shape) if input_shape else _check_structure(()),
        render=(compiler.render(output_shape) if output_shape else None) or _render_structure(()),
    )


class _Compiler:
    """Compiles shapes, each once. A shape that contains itself finds its own closure when it is called."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes
        self._checks: dict[str, Check] = {}
        self._renders: dict[str, Render | None] = {}

    def check(self, name: str) -> Check:
        """Compile what checks and converts an input shape."""
        if name not in self._checks:
            self._checks[name] = partial(self._late_check, name)
            self._checks[name] = self._compile_check(self._shapes[name])
        return self._checks[name]

    def render(self, name: str) -> Render | None:
        """Compile what renders an output shape; None: such values are written as they are."""
        if name not in self._renders:
            self._renders[name] = partial(self._late_render, name)
            self._renders[name] = self._compile_render(self._shapes[name])
        return self._renders[name]

    def _late_check(self, name: str, value: object, path: str, faults: list[Fault]) -> object:
        return self._checks[name](value, path, faults)

    def _late_render(self, name: str, value: object) -> object:
        render = self._renders[name]
        return value if render is None else render(value)

    def _compile_check(self, shape: Shape) -> Check:
        match shape["type"]:
            case "structure":
                required = frozenset(shape.get("required", ()))
                return _check_structure(
                    tuple(
                        (wire, snake(wire), wire in required, self.check(member["shape"]))
                        for wire, member in shape["members"].items()
                    )
                )
            case "list":
                return _check_list(shape, self.check(shape["member"]["shape"]))
            case "map":
                return _check_map(shape, self.check(shape["key"]["shape"]), self.check(shape["value"]["shape"]))
            case scalar if scalar in _SCALAR_CHECKS:
                return _SCALAR_CHECKS[scalar](shape)
            case other:
                raise NotImplementedError(f"the model has a shape of type '{other}'")

    def _compile_render(self, shape: Shape) -> Render | None:
        match shape["type"]:
            case "structure":
                return _render_structure(
                    tuple((snake(wire), wire, self.render(member["shape"])) for wire, member in shape["members"].items())
                )
            case "list":
                return _render_list(self.render(shape["member"]["shape"]))
            case "map":
                return _render_map(self.render(shape["value"]["shape"]))
            case scalar:
                return _SCALAR_RENDERS.get(scalar)


# --- input shapes -----------------------------------------------------------------------------------------------------


def _check_structure(members: tuple[tuple[str, str, bool, Check], ...]) -> Check:
    def check(value: object, path: str, faults: list[Fault]) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            faults.append(_wrong_type(value, path, "a structure"))
            return None
        prefix = f"{path}." if path else ""
        converted = {}
        for wire, keyword, required, check_member in members:
            item = value.get(wire)
            if item is not None:
                converted[keyword] = check_member(item, prefix + wire, faults)
            elif required:
                faults.append(Fault(prefix + wire, None, Kind.REQUIRED, "Member must not be null"))
        return converted

    return check


def _check_list(shape: Shape, check_item: Check) -> Check:
    check_length = _length_rule(shape, limit=LIST_LIMIT)

    def check(value: object, path: str, faults: list[Fault]) -> list[Any] | None:
        if not isinstance(value, list):
            faults.append(_wrong_type(value, path, "a list"))
            return None
        if not check_length(value, len(value), path, faults):
            return None
        converted = []
        for position, item in enumerate(value, 1):
            item_path = f"{path}.{position}.member"
            if item is None:
                faults.append(Fault(item_path, None, Kind.REQUIRED, "Member must not be null"))
            else:
                converted.append(check_item(item, item_path, faults))
        return converted

    return check


def _check_map(shape: Shape, check_key: Check, check_item: Check) -> Check:
    check_length = _length_rule(shape, limit=LIST_LIMIT)

    def check(value: object, path: str, faults: list[Fault]) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            faults.append(_wrong_type(value, path, "a map"))
            return None
        if not check_length(value, len(value), path, faults):
            return None
        return {
            check_key(key, path, faults): check_item(item, f"{path}.{key}.member", faults)
            for key, item in value.items()
            if item is not None
        }

    return check


def _check_string(shape: Shape) -> Check:
    hidden = bool(shape.get("sensitive"))
    check_length = _length_rule(shape)
    allowed = frozenset(shape.get("enum", ()))
    allowed_constraint = f"Member must satisfy enum value set: [{', '.join(shape.get('enum', ()))}]"
    pattern: str | None = shape.get("pattern")
    matches = re.compile(REPLACED_PATTERNS.get(pattern, pattern), re.ASCII).fullmatch if pattern else _is_storable
    pattern_constraint = f"Member must satisfy regular expression pattern: {pattern}" if pattern else _STORABLE

    def check(value: object, path: str, faults: list[Fault]) -> str | None:
        if not isinstance(value, str):
            faults.append(_wrong_type(value, path, "a string"))
            return None
        shown = "***" if hidden else value
        if allowed and value not in allowed:
            faults.append(Fault(path, shown, Kind.ENUM, allowed_constraint))
        elif check_length(shown, len(value), path, faults) and not matches(value):
            faults.append(Fault(path, shown, Kind.PATTERN, pattern_constraint))
        return value

    return check


_STORABLE = "Member must be Unicode text without the character U+0000"


def _is_storable(value: str) -> bool:
    """Tell whether text can be stored: PostgreSQL's text holds no NUL, and half a surrogate pair has no UTF-8."""
    if "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_whole_number(shape: Shape) -> Check:
    bits = 64 if shape["type"] == "long" else 32
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    least, most = shape.get("min", lowest), shape.get("max", highest)

    def check(value: object, path: str, faults: list[Fault]) -> int | None:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            faults.append(_wrong_type(value, path, f"a whole number of {bits} bits"))
            return None
        if value < least:
            faults.append(Fault(path, value, Kind.RANGE, f"Member must have value greater than or equal to {least}"))
        elif value > most:
            faults.append(Fault(path, value, Kind.RANGE, f"Member must have value less than or equal to {most}"))
        return value

    return check


def _check_number(_shape: Shape) -> Check:
    def check(value: object, path: str, faults: list[Fault]) -> float | None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not -_LARGEST <= value <= _LARGEST:
            faults.append(_wrong_type(value, path, "a number"))
            return None
        return float(value)

    return check


_LARGEST = sys.float_info.max


def _check_boolean(_shape: Shape) -> Check:
    def check(value: object, path: str, faults: list[Fault]) -> bool | None:
        if not isinstance(value, bool):
            faults.append(_wrong_type(value, path, "a boolean"))
            return None
        return value

    return check


def _check_timestamp(_shape: Shape) -> Check:
    def check(value: object, path: str, faults: list[Fault]) -> datetime | None:
        try:
            if isinstance(value, int | float) and not isinstance(value, bool):
                return datetime.fromtimestamp(value, UTC)
            if isinstance(value, str):
                moment = datetime.fromisoformat(value)
                return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError, OSError):
            pass
        faults.append(_wrong_type(value, path, "a timestamp"))
        return None

    return check


def _check_blob(shape: Shape) -> Check:
    check_length = _length_rule(shape)

    def check(value: object, path: str, faults: list[Fault]) -> bytes | None:
        try:
            decoded = binascii.a2b_base64(value, strict_mode=True) if isinstance(value, str) else None
        except ValueError:
            decoded = None
        if decoded is None:
            faults.append(_wrong_type(value, path, "bytes in base64"))
            return None
        check_length("(bytes)", len(decoded), path, faults)
        return decoded

    return check


def _length_rule(shape: Shape, limit: int | None = None) -> Callable[[object, int, str, list[Fault]], bool]:
    least: int = shape.get("min", 0)
    most: int | None = shape.get("max", limit)

    def check(value: object, length: int, path: str, faults: list[Fault]) -> bool:
        if length < least:
            faults.append(Fault(path, value, Kind.LENGTH, f"Member must have length greater than or equal to {least}"))
            return False
        if most is not None and length > most:
            faults.append(Fault(path, value, Kind.LENGTH, f"Member must have length less than or equal to {most}"))
            return False
        return True

    return check


def _wrong_type(value: object, path: str, wanted: str) -> Fault:
    return Fault(path, value, Kind.TYPE, f"Member must be {wanted}")


_SCALAR_CHECKS: Mapping[str, Callable[[Shape], Check]] = MappingProxyType(
    {
        "string": _check_string,
        "integer": _check_whole_number,
        "long": _check_whole_number,
        "double": _check_number,
        "boolean": _check_boolean,
        "timestamp": _check_timestamp,
        "blob": _check_blob,
    }
)


# --- output shapes ----------------------------------------------------------------------------------------------------


def _render_structure(members: tuple[tuple[str, str, Render | None], ...]) -> Render:
    keywords = frozenset(keyword for keyword, _, _ in members)

    def render(value: object) -> dict[str, Any]:
        if isinstance(value, Mapping):
            if not keywords.issuperset(value):
                raise TypeError(f"the answer has members that its shape has not: {sorted(set(value) - keywords)}")
            found = value
        else:
            found = {keyword: getattr(value, keyword, None) for keyword in keywords}
        rendered = {}
        for keyword, wire, render_member in members:
            item = found.get(keyword)
            if item is not None:
                rendered[wire] = item if render_member is None else render_member(item)
        return rendered

    return render


def _render_list(render_item: Render | None) -> Render:
    return list if render_item is None else lambda values: [render_item(value) for value in values]


def _render_map(render_item: Render | None) -> Render:
    return dict if render_item is None else lambda values: {key: render_item(value) for key, value in values.items()}


def _render_timestamp(value: datetime) -> float:
    """Seconds since the epoch, as a number: Go's clients accept nothing else; to the millisecond."""
    if value.tzinfo is None:
        raise ValueError(f"the time {value} has no zone")
    return round(value.timestamp(), 3)


def _render_blob(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


_SCALAR_RENDERS: Mapping[str, Render] = MappingProxyType({"timestamp": _render_timestamp, "blob": _render_blob})
