"""Whatever is wrong with a damaged table, its rows are read or rejected, or the file is refused."""

import gzip
import json
import os
import random
import time
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet
import pytest

from leyden.data.sources.tables import TableFile
from leyden.errors import UserError

ROUNDS = int(os.environ.get("LEYDEN_FUZZ_ROUNDS", "100"))

SECONDS = 10
"""Maximum time in seconds for a file of a few kilobytes."""

ROWS = [
    {"name": f'a "quoted", ü {row}', "weight": row / 3, "count": row, "tame": row % 2 == 0}
    for row in range(40)
]

MARKS = (b"", b'"', b"\n", b"\r", b"\0", b",", b";", b"{", b"}", b"[", b"\xff", b"\xef\xbb\xbf")


def separated(separator):
    def cell(value):
        return '"' + str(value).replace('"', '""') + '"'

    lines = [list(ROWS[0]), *(map(cell, row.values()) for row in ROWS)]
    return "\n".join(separator.join(line) for line in lines).encode()


def parquet(**options):
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS), sink, **options)
    return sink.getvalue().to_pybytes()


SEEDS = {
    "a.csv": separated(","),
    "a.tsv": separated("\t"),
    "a.csv.gz": gzip.compress(separated(";")),
    "a.jsonl": "\n".join(json.dumps(row) for row in ROWS).encode(),
    "a.json": json.dumps(ROWS).encode(),
    "a.parquet": parquet(),
    "b.parquet": parquet(compression="gzip", use_dictionary=False, data_page_version="2.0"),
}


def damaged(content, chance):
    """Change a few places: bytes, runs of them, or the end."""
    damage = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(damage) + 1)
        match chance.randrange(4):
            case 0:
                damage[place : place + 1] = chance.randbytes(1)
            case 1:
                damage[place:place] = chance.choice(MARKS)
            case 2:
                del damage[place : place + chance.randint(1, 200)]
            case 3:
                damage[place : place + 4] = chance.choice([b"\xff" * 4, b"\x7f" * 4, bytes(4)])
    return bytes(damage)


@pytest.mark.parametrize("name", SEEDS)
def test_whatever_a_table_holds_it_is_read_or_refused(tmp_path, name):
    chance, path = random.Random(name), tmp_path / name
    read = 0

    for _ in range(ROUNDS):
        path.write_bytes(damaged(SEEDS[name], chance))
        began = time.process_time()
        with suppress(UserError):
            table = TableFile(path=path)
            for chunk in table.chunks(table.column_names()):
                assert {len(column) for column in chunk.columns.values()} <= {len(chunk.sources)}
                read += len(chunk.sources)
        assert time.process_time() - began < SECONDS

    assert read > 0
