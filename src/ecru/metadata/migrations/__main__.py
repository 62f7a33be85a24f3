"""Draft the next revision: what ``tables`` says and the newest revision does not."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from alembic import command
from sqlalchemy import Connection

from ecru.metadata import schema


def main() -> None:
    """Write a revision into the source tree, to be read and completed by whoever asked for it."""
    parser = argparse.ArgumentParser(prog="python -m ecru.metadata.migrations", description=__doc__)
    parser.add_argument("message", help='what changes, as a sentence: "Add lifecycle policies"')
    message = parser.parse_args().message

    def draft(connection: Connection) -> None:
        newest = schema.newest_revision()
        command.revision(schema.alembic_config(connection), message, autogenerate=True, rev_id=f"{int(newest or 0) + 1:04}")

    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'draft.db'}"
        asyncio.run(schema.upgrade(url))
        asyncio.run(schema.run_alone(url, draft))


if __name__ == "__main__":
    main()
