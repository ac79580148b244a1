import hashlib

import numpy as np
import pytest

from leyden.data.sets import ag_news
from leyden.data.sets.ag_news import AGNews
from leyden.errors import UserError


def write_files(folder, *, train=40, test=20):
    folder.mkdir(exist_ok=True)
    for name, rows in (("train.csv", train), ("test.csv", test)):
        lines = [f'"{n % 4 + 1}","Title {name} {n}","What ""happened"" {n}"' for n in range(rows)]
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def news(**options):
    return AGNews(**{"name": "news", "vocab_size": 300, "batch_size": 8} | options)


def ready(**options):
    data = news(**options)
    data.prepare_data()
    data.setup()
    return data


def test_the_official_splits_are_kept_and_topics_have_names(tmp_path):
    data = ready(root=str(write_files(tmp_path / "news")))

    assert len(data.row_numbers("test")) == 20
    assert len(data.row_numbers("train")) + len(data.row_numbers("val")) == 40
    assert data.spec.class_names == ("World", "Sports", "Business", "Sci/Tech")
    assert np.bincount(data.cached.targets).tolist() == [15] * 4
    text = data.cached.arrays["texts"][1].tobytes().decode()
    assert text == 'Title train.csv 1\nWhat "happened" 1'
    assert data.cached.targets[1] == 1


def test_the_files_are_fetched_once(web, tmp_path, monkeypatch):
    write_files(web.folder)
    sums = {
        name: f"md5:{hashlib.md5((web.folder / name).read_bytes()).hexdigest()}"
        for name in ag_news.CHECKSUMS
    }
    monkeypatch.setattr(ag_news, "CHECKSUMS", sums)
    options = {"mirrors": [web.url], "cache_dir": str(tmp_path / "cache")}

    ready(**options)
    ready(**options, encoding="latin-1")
    ready(**options)

    assert web.asked == ["train.csv", "test.csv"]


def test_other_files_are_refused(web, tmp_path):
    write_files(web.folder)

    with pytest.raises(UserError, match=r"train\.csv.*md5"):
        ready(mirrors=[web.url], cache_dir=str(tmp_path / "cache"))


def test_a_folder_without_the_files_is_refused(tmp_path):
    write_files(tmp_path / "news")
    (tmp_path / "news" / "test.csv").unlink()

    with pytest.raises(UserError, match=r"lacks test\.csv"):
        ready(root=str(tmp_path / "news"))


def test_an_unknown_topic_is_refused(tmp_path):
    write_files(tmp_path / "news")
    (tmp_path / "news" / "test.csv").write_text('"5","a","b"\n')

    with pytest.raises(UserError, match=r"test\.csv row 1 has the topic '5'"):
        ready(root=str(tmp_path / "news"))
