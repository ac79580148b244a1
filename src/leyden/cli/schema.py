"""``leyden schema``: JSON schemas of the files in ``conf/``, for editors."""

import json
from collections.abc import Sequence
from pathlib import Path

from leyden.cli.arguments import split
from leyden.config.schema import write_schemas
from leyden.errors import UserError

USAGE = """usage: leyden schema [to=conf/schema]

Writes JSON schemas of the files in conf/, by which editors complete keys, show what they mean, and
mark mistakes. They are derived from the classes that the files name, those of the project in the
current folder included: run the command again when a class or an option is added.

Prints the settings that map the schemas to the files, for .vscode/settings.json; other editors with
the language server of YAML take the same ones."""

TO = "conf/schema"


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: If an argument is not understood.
    """
    arguments = split(words, "to")
    arguments.refuse_bare()
    if arguments.overrides:
        raise UserError(f"{arguments.overrides[0]} is not understood. Expected to=FOLDER.")
    folder = Path(arguments.one("to") or TO).expanduser()
    files = write_schemas(folder)
    mapped = {(folder / name).as_posix(): f"conf/{pattern}" for name, pattern in files.items()}
    print(json.dumps({"yaml.schemas": mapped}, indent=2))
