import pytest

from leyden.data.sets.mail import subject_and_body

TEXT = (
    "Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n{body}"
)


def test_other_headers_are_omitted():
    mail = "From: a@b.c\nSubject: Hello\n there\nX-Spam: yes\n\nthe body\n"

    assert subject_and_body(mail) == "Hello\n there\nthe body\n"


@pytest.mark.parametrize(
    ("subject", "decoded"),
    [
        ("=?utf-8?b?R3LDvMOfZQ==?=", "Grüße"),
        ("=?iso-8859-1?q?Gr=FC=DFe?= all", "Grüße all"),
        ("=?no-such-charset?q?x?=", "=?no-such-charset?q?x?="),
        ("=?utf-8?b?x?=", "=?utf-8?b?x?="),
    ],
)
def test_subjects_are_decoded_if_possible(subject, decoded):
    assert subject_and_body(f"Subject: {subject}\n\n").strip() == decoded


@pytest.mark.parametrize(
    ("charset", "encoding", "body"),
    [
        ("utf-8", "base64", "R3LDvMOfZQ=="),
        ("iso-8859-1", "quoted-printable", "Gr=FC=DFe"),
        ("no-such-charset", "quoted-printable", "Gr=FC=DFe"),
        ("utf-8", "8bit", "Grüße"),
        ("us-ascii", "7bit", "Grüße"),
    ],
)
def test_bodies_are_decoded(charset, encoding, body):
    mail = TEXT.format(charset=charset, encoding=encoding, body=body)

    assert subject_and_body(mail).strip() == "Grüße"


def test_all_text_parts_are_kept():
    parts = ["text/plain\n\nplain", "image/png\n\nAAAA", "text/html\n\n<b>bold</b>"]
    inner = "\n--x\n".join(f"Content-Type: {part}" for part in parts)
    mail = f'Subject: s\nContent-Type: multipart/mixed; boundary="x"\n\n--x\n{inner}\n--x--\n'

    assert subject_and_body(mail).split() == ["s", "plain", "<b>bold</b>"]


def test_text_around_the_parts_is_kept():
    mail = (
        'Subject: s\nContent-Type: multipart/mixed; boundary="x"\n\n'
        "before\n--x\n\nplain\n--x--\nbehind\n"
    )

    assert subject_and_body(mail).split() == ["s", "before", "plain", "behind"]


def test_parts_without_a_boundary_are_one_text():
    mail = "Subject: s\nContent-Type: multipart/alternative\n\n--x\n\nplain\n"

    assert subject_and_body(mail).split() == ["s", "--x", "plain"]


def test_a_text_without_headers_is_all_body():
    assert subject_and_body("just some words\n").strip() == "just some words"


@pytest.mark.parametrize("charset", ["nobody-knows", "idna", "hex", "utf\0-8"])
def test_an_unusable_charset_is_ignored(charset):
    encoded = "Content-Transfer-Encoding: quoted-printable"
    mail = f"Subject: s\nContent-Type: text/plain; charset={charset}\n{encoded}\n\nbody=21\n"

    assert subject_and_body(mail).split() == ["s", "body!"]


def test_half_a_character_does_not_stop_the_parser():
    assert subject_and_body("Subject: \ud800\n\n\u20ac \udc80") == "?\n\u20ac ?"
