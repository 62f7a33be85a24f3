"""Flags of the commands, made from the settings: each setting's name, help and default are declared there, once."""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Final, TypeVar

import typer

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

        parameters = [_parameter(name) for name in flags]
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


def rendered_default(name: str) -> str | None:
    """A setting's default as it would be written; None when it has none, or its description says it."""
    field = Settings.model_fields[name]
    match None if field.default_factory else field.default:
        case None | ():
            return None
        case bool(value):
            return str(value).lower()
        case timedelta() as value:
            return render_span(value)
        case int(value) if name.endswith("_bytes"):
            return render_size(value)
        case value:
            return str(value)


def section_of(name: str) -> str:
    """The section of the help and of the reference that a setting belongs to."""
    section = ""
    for field in Settings.model_fields:
        section = Settings.SECTIONS.get(field, section)
        if field == name:
            break
    return section


def _parameter(name: str) -> inspect.Parameter:
    field = Settings.model_fields[name]
    flag = name.replace("_", "-")
    is_switch = field.annotation is bool
    default = rendered_default(name)
    option = typer.Option(
        f"--{flag}/--no-{flag}" if is_switch else f"--{flag}",
        help=f"{field.description} (default: {default})" if default else field.description,
        metavar=None if is_switch else name.rpartition("_")[2].upper(),
        show_default=False,
        rich_help_panel=section_of(name),
    )
    annotation = Annotated[bool | None, option] if is_switch else Annotated[str | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _told(fault: Fault, flags: Mapping[str, object]) -> str:
    if fault.name in flags:
        return f"--{fault.name.replace('_', '-')}: {fault.text}"
    variable = f"{PREFIX}{fault.name.upper()}"
    return f"{variable}: {fault.text}" if variable in os.environ else str(fault)
