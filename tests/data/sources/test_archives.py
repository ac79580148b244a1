import io
import stat
import tarfile
import zipfile

import pytest

from leyden.data.sources.archives import extract
from leyden.errors import UserError


def tar_of(path, *members, mode="w"):
    """Write members given as (name, bytes) or (name, tar type, link target)."""
    with tarfile.open(path, mode) as archive:
        for name, *rest in members:
            info = tarfile.TarInfo(name)
            if isinstance(rest[0], bytes) and len(rest) == 1:
                info.size = len(rest[0])
                archive.addfile(info, io.BytesIO(rest[0]))
            else:
                info.type, info.linkname = rest
                archive.addfile(info)
    return path


def zip_of(path, *members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def special_zip(path, mode):
    member = zipfile.ZipInfo("odd")
    member.external_attr = mode << 16
    return zip_of(path, (member, "/etc"))


@pytest.fixture
def inbox(tmp_path):
    """Folder of archives, beside which every other change is detected."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def assert_refused(archive, name):
    place = archive.parents[1]
    before = sorted(place.rglob("*"))
    with pytest.raises(UserError, match="Refused to unpack") as caught:
        extract(archive, place / "out")
    assert repr(name) in str(caught.value)
    assert str(archive) in str(caught.value)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_good_tar(inbox, tmp_path, mode):
    good = [("d/a", b"rows"), ("d/link", tarfile.SYMTYPE, "a"), ("d/hard", tarfile.LNKTYPE, "d/a")]
    archive = tar_of(inbox / "good", *good, mode=mode)
    out = extract(archive, tmp_path / "new" / "out")
    assert out == tmp_path / "new" / "out"
    assert [(out / "d" / name).read_bytes() for name in ("a", "link", "hard")] == [b"rows"] * 3
    assert list(out.parent.iterdir()) == [out]


def test_a_good_zip(inbox, tmp_path):
    out = extract(zip_of(inbox / "good", ("d/a", b"rows"), ("e/", b"")), tmp_path / "out")
    assert (out / "d" / "a").read_bytes() == b"rows"
    assert (out / "e").is_dir()


def test_a_tar_that_ends_with_a_zip_is_a_tar(inbox, tmp_path):
    inner = zip_of(inbox / "inner", ("a", b"rows")).read_bytes()
    out = extract(tar_of(inbox / "good", ("inner.zip", inner)), tmp_path / "out")
    assert [path.name for path in out.iterdir()] == ["inner.zip"]


def test_the_folder_has_ordinary_permissions(inbox, tmp_path):
    (tmp_path / "usual").mkdir()
    out = extract(zip_of(inbox / "good", ("a", b"")), tmp_path / "out")
    assert out.stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:\\evil"])
@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_a_path_that_leads_out(inbox, name, pack):
    assert_refused(pack(inbox / "bad", ("good", b"rows"), (name, b"evil")), name)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["/etc/passwd", "../inbox"])
def test_a_tar_link_that_leads_out(inbox, kind, target):
    assert_refused(tar_of(inbox / "bad", ("link", kind, target)), "link")


def test_a_tar_write_through_a_link_to_outside(inbox, tmp_path):
    (tmp_path / "victim").mkdir()
    bad = [("link", tarfile.SYMTYPE, str(tmp_path / "victim")), ("link/evil", b"evil")]
    assert_refused(tar_of(inbox / "bad", *bad), "link")


@pytest.mark.parametrize(
    "member",
    [("link/b", b"evil"), ("link", b"evil"), ("hard", tarfile.LNKTYPE, "link/a")],
)
def test_a_tar_member_that_leads_through_an_inner_link(inbox, member):
    inner = [("d/a", b"rows"), ("link", tarfile.SYMTYPE, "d")]
    assert_refused(tar_of(inbox / "bad", *inner, member), member[0])


def test_a_tar_link_chain_longer_than_paths_may_be(inbox, tmp_path):
    """CVE-2025-4517: realpath gives up on a path that is too long, and the filter believes it."""
    (tmp_path / "victim").mkdir()
    long, members, path = "d" * 247, [], ""
    for letter in "abcdefghijklmnop":
        members.append((f"{path}{long}", tarfile.DIRTYPE, ""))
        members.append((f"{path}{letter}", tarfile.SYMTYPE, long))
        path += f"{long}/"
    short = "/".join("abcdefghijklmnop")
    link = f"{short}/{'l' * 254}"
    members.append((link, tarfile.SYMTYPE, "../" * 16))
    members.append(("escape", tarfile.SYMTYPE, f"{link}/../victim"))
    members.append(("escape/evil", b"evil"))
    assert_refused(tar_of(inbox / "bad", *members), link)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_tar_device(inbox, kind):
    assert_refused(tar_of(inbox / "bad", ("odd", kind, "")), "odd")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR])
def test_a_zip_link_or_device(inbox, kind):
    assert_refused(special_zip(inbox / "bad", kind | 0o777), "odd")


def test_an_encrypted_zip(inbox):
    archive = zip_of(inbox / "bad", ("a", b"rows"))
    raw = bytearray(archive.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(raw)
    assert_refused(archive, "a")


def cut(content):
    return content[: len(content) // 2]


def smash(content):
    half = len(content) // 2
    return content[:half] + b"\xff" * 999 + content[half + 999 :]


@pytest.mark.parametrize(
    ("mode", "damage"),
    [("w", cut), ("w:gz", cut), ("w:xz", cut), ("w:gz", smash), ("w:xz", smash)],
)
def test_a_damaged_tar_leaves_no_folder(inbox, tmp_path, mode, damage):
    # Compressible, so that deflate has structure to damage; long, so that the start stays readable.
    rows = " ".join(str(i * i) for i in range(100_000)).encode()
    archive = tar_of(inbox / "damaged", ("a", b"rows"), ("b", rows), mode=mode)
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(UserError, match=r"Could not unpack .*Delete the archive"):
        extract(archive, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [inbox]


def test_a_corrupt_zip_leaves_no_folder(inbox, tmp_path):
    archive = zip_of(inbox / "bad", ("a", b"rows"), ("b", b"column"))
    archive.write_bytes(archive.read_bytes().replace(b"column", b"COLUMN", 1))
    with pytest.raises(UserError, match="Bad CRC-32 for file 'b'"):
        extract(archive, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [inbox]


def test_what_is_left_of_an_interrupted_extraction_is_cleared(inbox, tmp_path):
    left = tmp_path / "out.unfinished"
    left.mkdir()
    (left / "half").touch()
    out = extract(zip_of(inbox / "good", ("a", b"rows")), tmp_path / "out")
    assert [path.name for path in out.iterdir()] == ["a"]
    assert not left.exists()


def test_a_folder_unpacked_earlier_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    assert extract(tmp_path / "not needed any more", tmp_path / "out") == tmp_path / "out"


def test_an_empty_folder_is_filled(inbox, tmp_path):
    (tmp_path / "out").mkdir()
    assert (extract(zip_of(inbox / "good", ("a", b"")), tmp_path / "out") / "a").exists()


def test_another_format(inbox, tmp_path):
    (inbox / "page").write_text("<html>")
    with pytest.raises(UserError, match="neither"):
        extract(inbox / "page", tmp_path / "out")


def test_a_missing_archive(inbox, tmp_path):
    with pytest.raises(UserError, match="No such file"):
        extract(inbox / "none", tmp_path / "out")
