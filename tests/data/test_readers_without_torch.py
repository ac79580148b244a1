"""Modules that a server decodes inputs with must not import torch (seconds, and 200 MB)."""

import subprocess
import sys

import pytest

READERS = (
    "leyden.data.audio.cleaning",
    "leyden.data.audio.files",
    "leyden.data.audio.transcripts",
    "leyden.data.image.files",
)


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_does_not_import_torch(reader: str) -> None:
    code = f"import sys, {reader}; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
