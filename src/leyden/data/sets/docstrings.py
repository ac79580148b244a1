"""Docstrings of Python's standard library, which need no download."""

import ast
import platform
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leyden.data.rows import RejectedItem, Rows, UnreadableError
from leyden.data.text.module import CorpusData
from leyden.data.text.rows import Text, passages, text_rows
from leyden.errors import UserError, first_line
from leyden.files import DataPath, file_state

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

OMITTED_FOLDERS = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


class Docstrings(CorpusData):
    """About 9,000 passages of technical English; passages of one module stay in one split.

    Args:
        root: Folder of Python modules; ``None`` for the standard library of the running Python.
        passage_characters: Maximum length of a passage in characters.
        options: Options of ``CorpusData``.
    """

    def __init__(
        self, *, root: DataPath | None = None, passage_characters: int = 800, **options: Any
    ) -> None:
        super().__init__(**options)
        self.root = Path(root or sysconfig.get_path("stdlib")).expanduser()
        self.is_own = root is None
        self.passage_characters = passage_characters

    def source_settings(self) -> dict[str, Any]:
        """Return the version of Python whose library is read, or the state of the user's files.

        Raises:
            UserError: If ``root`` is not a folder.
        """
        source: Any = platform.python_version()
        if not self.is_own:
            source = [(str(file), *file_state(file)) for file in self._modules()]
        return {"source": source, "characters": self.passage_characters}

    def read(self) -> Iterator[Rows]:
        """Yield the passages of all modules in the order of their paths.

        Raises:
            UserError: If ``root`` is not a folder.
        """
        return text_rows(self._passages(), self.cleaning)

    def _passages(self) -> Iterator[Text | RejectedItem]:
        for file in self._modules():
            name = file.relative_to(self.root).as_posix()
            try:
                found = list(docstrings(file.read_bytes()))
            except (OSError, UnreadableError) as error:
                yield RejectedItem(source=name, reason=first_line(error))
                continue
            for place, docstring in found:
                for passage in passages(docstring, self.passage_characters):
                    yield Text(content=passage, source=f"{name}:{place}", group=name)

    def _modules(self) -> list[Path]:
        if not self.root.is_dir():
            raise UserError(
                f"data.root={self.root} is not a folder. Give a folder of Python modules."
            )
        return sorted(
            file
            for file in self.root.rglob("*.py")
            if OMITTED_FOLDERS.isdisjoint(file.relative_to(self.root).parts)
        )


def docstrings(code: bytes) -> Iterator[tuple[str, str]]:
    """Yield the name and the docstring of a module, its classes and its functions.

    Args:
        code: Source code of the module.

    Raises:
        UnreadableError: If the code cannot be parsed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SyntaxWarning about the code that is parsed
            module = ast.parse(code)
    except Exception as error:  # SyntaxError, ValueError, RecursionError, MemoryError
        raise UnreadableError(first_line(error)) from error
    for node in ast.walk(module):
        if isinstance(node, DOCUMENTED) and (docstring := ast.get_docstring(node)):
            yield getattr(node, "name", "module"), docstring
