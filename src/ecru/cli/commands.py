"""The commands of ``ecru``."""

import sys
from importlib.metadata import version as version_of
from platform import python_version
from typing import TYPE_CHECKING, Final

import typer

from ecru import __version__
from ecru.cli.flags import takes_settings
from ecru.settings import Settings

if TYPE_CHECKING:
    from ecru.prepare import Preparation

# The imports inside of functions bring in databases, cryptography and the server, which take longer than most commands.
# ruff: noqa: PLC0415

EXIT_FAILED: Final = 1

_OF_A_WORKER: Final = (
    "config",
    "data",
    "database",
    "blobs",
    "blobs_access_key_id",
    "account",
    "region",
    "regions",
    "server_key_file",
    "upload_expiry",
    "collection_grace",
    "deleted_image_retention",
    "log_format",
    "log_level",
)

app = typer.Typer(
    name="ecru",
    help="Amazon ECR that you run yourself: an OCI registry on /v2/ and the AWS API beside it.",
    epilog="Begin with `ecru serve`. Its first start shows the access key and the lines to copy.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command that the arguments name."""
    app()


@app.command(
    epilog="""Each flag is also a variable, `ECRU_PORT` for `--port`, and a key of `ecru.toml`, `port = 5050`; a flag comes first,
then the variable, then the file. Secrets have no flag, since every user of the machine could read it: set
`ECRU_ROOT_SECRET_ACCESS_KEY`, `ECRU_SERVER_KEY` and `ECRU_BLOBS_SECRET_ACCESS_KEY`, or write them into the file. Spans are written
`30s`, `24h` or `7d`, sizes `20MiB`, lists with commas.

Examples:

- On this machine, with SQLite and a folder: `ecru serve`

- For the network, with TLS: `ecru serve --host :: --port 443 --tls-certificate server.pem --tls-key server.key`

- Behind a proxy: `ecru serve --domain registry.example.com --trusted-proxies 10.0.0.0/8`

- With PostgreSQL and S3: `ecru serve --database postgresql://ecru@db/ecru --blobs s3://bucket/ecru`
"""
)
@takes_settings()
def serve(settings: Settings) -> None:
    """Answer registry clients and the AWS API, until it is told to stop.

    The first start makes the root access key and shows it, with the lines to copy.
    """
    from ecru.serving import CannotStart, serve

    def announce(preparation: "Preparation") -> None:
        from ecru.cli.messages import render_first_start

        if preparation.made is not None:
            typer.echo(render_first_start(settings, preparation, preparation.made))

    try:
        serve(settings, announce=announce)
    except CannotStart as reason:
        typer.echo(f"ecru cannot start: {reason}", err=True)
        raise typer.Exit(EXIT_FAILED) from None


@app.command(epilog="Example: `ecru worker --database postgresql://ecru@db/ecru --blobs s3://bucket/ecru`")
@takes_settings(*_OF_A_WORKER)
def worker(settings: Settings) -> None:
    """Run jobs alone, until it is told to stop.

    A server has a job worker of its own; further ones share its work, on this machine or on others.
    """
    from ecru.prepare import FAULTS
    from ecru.telemetry import logs
    from ecru.workers import run_jobs_alone

    logs.configure(json_lines=settings.json_lines, level=settings.log_level)
    try:
        run_jobs_alone(settings)
    except FAULTS as fault:
        typer.echo(f"ecru cannot start: {fault}", err=True)
        raise typer.Exit(EXIT_FAILED) from None


@app.command(epilog='Example: `eval "$(ecru env)"`, and then `aws ecr describe-repositories`.')
@takes_settings("config", "data", "host", "port", "domain", "region", "tls_certificate", "tls_key", "trusted_proxies")
def env(settings: Settings) -> None:
    """Print the lines that point a shell's aws CLI and SDKs at this server, with root's access key."""
    from ecru.cli.messages import render_exports
    from ecru.prepare import FAULTS, credentials_file, given_credentials, read_credentials

    file = credentials_file(settings.data)
    try:
        credentials = given_credentials(settings) or read_credentials(file)
    except FileNotFoundError:
        typer.echo(f"there is no {file}: the first `ecru serve` makes it; --data names another folder", err=True)
        raise typer.Exit(EXIT_FAILED) from None
    except FAULTS as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(EXIT_FAILED) from None
    typer.echo(render_exports(settings, credentials), nl=False)


@app.command()
@takes_settings()
def check(settings: Settings) -> None:
    """Look at everything a server needs, and say what is wrong; fails if something is."""
    import asyncio

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ecru.cli.check import State, run_checks

    findings = asyncio.run(run_checks(settings))
    marks = {State.FINE: "[green]✓[/]", State.NOTE: "[yellow]![/]", State.WRONG: "[red]✗[/]"}
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, finding in findings.items():
        table.add_row(marks[finding.state], name, Text(finding.text))
    Console(highlight=False).print(table)
    if any(finding.state is State.WRONG for finding in findings.values()):
        raise typer.Exit(EXIT_FAILED)


@app.command()
@takes_settings("config", "data", "database", "log_level", "log_format")
def migrate(settings: Settings) -> None:
    """Bring the schema of the database to this program's.

    `ecru serve` does so too; this is for deployments that want it done before. A schema newer than the program is refused.
    """
    import asyncio

    from ecru.metadata import schema
    from ecru.prepare import FAULTS

    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        found = asyncio.run(schema.upgrade(settings.database))
    except FAULTS as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(EXIT_FAILED) from None
    if found.current == found.newest:
        typer.echo(f"{settings.database.shown} is at revision {found.newest}, which is this program's")
    else:
        typer.echo(f"{settings.database.shown} was at revision {found.current or 'none'} and is now at {found.newest}")


@app.command()
def version() -> None:
    """Print the version, and those of what decides how ecru behaves."""
    typer.echo(f"ecru {__version__} (Python {python_version()}, botocore {version_of('botocore')}, {sys.platform})")
