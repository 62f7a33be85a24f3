"""Flags of the commands, made from the settings: each setting's name, help and default are declared there, once."""

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import typer
from pydantic.fields import FieldInfo

from ecru.settings import PREFIX, Fault, InvalidSettings, Settings, is_secret, render_size, render_span

R = TypeVar("R")

EXIT_FAULTY: Final = 2


def takes_settings(*names: str) -> Callable[[Callable[[Settings], R]], Callable[..., R]]:
    """Give a command a flag for each of these settings, or for all that have one, and hand it the settings.

    Args:
        names: of settings; without any, all that are not secret.
    """
    flags = names or tuple(name for name, field in Settings.model_fields.items() if not is_secret(field))

    def give(command: Callable[[Settings], R]) -> Callable[..., R]:
        @functools.wraps(command)
        def run(**given: object) -> R:
            return command(read_settings({name: value for name, value in given.items() if value is not None}))

        parameters = [_parameter(name, Settings.model_fields[name]) for name in flags]
        # Typer reads both.
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return give


def read_settings(flags: Mapping[str, object]) -> Settings:
    """Read the settings, with those of the flags first.

    Raises:
        typer.Exit: they are faulty; each fault was told.
    """
    try:
        return Settings(**flags)  # type: ignore[arg-type]
    except InvalidSettings as invalid:
        typer.echo("ecru cannot start with these settings:", err=True)
        for fault in invalid.faults:
            typer.echo(f"  {_told(fault, flags)}", err=True)
        raise typer.Exit(EXIT_FAULTY) from None


def rendered_default(field: FieldInfo) -> str | None:
    """A setting's default as it would be written; None when it has none, or its description says it."""
    return None if field.default_factory is not None else _rendered(field.default, field)


def _rendered(value: object, field: FieldInfo) -> str | None:
    match value:
        case None | ():
            return None
        case bool():
            return str(value).lower()
        case timedelta():
            return render_span(value)
        case StrEnum():
            return value.value
        case int() if "bytes" in (field.description or "") or _is_size(field):
            return render_size(value)
        case _:
            return str(value)


def _is_size(field: FieldInfo) -> bool:
    return any(getattr(part, "func", None) is not None for part in field.metadata)


def sections(names: Iterable[str]) -> Mapping[str, str]:
    """The section of each setting."""
    found: dict[str, str] = {}
    section = ""
    for name in Settings.model_fields:
        section = Settings.SECTIONS.get(name, section)
        found[name] = section
    return {name: found[name] for name in names}


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    flag = f"--{name.replace('_', '-')}"
    default = rendered_default(field)
    switch: type[Any] = bool if field.annotation is bool else str
    option = typer.Option(
        f"{flag}/--no-{flag[2:]}" if switch is bool else flag,
        help=f"{field.description}.",
        metavar=None if switch is bool else name.rpartition("_")[2].upper(),
        show_default=default or False,
        rich_help_panel=sections([name])[name],
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[switch | None, option])


def _told(fault: Fault, flags: Mapping[str, object]) -> str:
    if fault.name in flags:
        return f"--{fault.name.replace('_', '-')}: {fault.text}"
    return str(fault)
