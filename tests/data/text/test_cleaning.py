# ruff: noqa: RUF001  # letters that look like others are what is tested
import time

import pytest

from leyden.data.text.cleaning import TextCleaning


@pytest.mark.parametrize(
    ("text", "clean", "step"),
    [
        ("<p>a</p><p>b</p>", "a b", "html"),
        ("tr<b>ee</b>s &amp; b&uuml;sche", "trees & büsche", "html"),
        ("a<!-- not > this -->b<script>x<y</script>c", "ab c", "html"),
        ("<style>p {}</style>text<br/>on", "text on", "html"),
        ("a\x00b\x07\u200bc\ufeff", "abc", "control"),
        ("one\r\ntwo\rthree\x0cfour", "one\ntwo\nthree\nfour", "control"),
        ("don\x92t \x93wait\x94\x85", "don’t “wait”…", "control"),
        ("co\u00adop v\u200biagra", "coop viagra", "control"),
        ("\ufb01ne \uff21 \uff76\uff9e e\u0301 \ufefb", "fine A ガ é لا", "unicode"),
        ("  a \t b \n\n \n c  ", "a b\nc", "whitespace"),
    ],
)
def test_each_step_fixes_its_fault_alone(text, clean, step):
    clean = text if clean is None else clean

    cleaned, changed = TextCleaning().clean_text(text)
    untouched, _ = TextCleaning(
        **dict.fromkeys(("html", "control", "unicode", "whitespace"), False)
    ).clean_text(text)

    assert cleaned == clean
    assert (step in changed) == (clean != text)
    assert untouched == text


HTML = [
    ("<p>a</p><p>b</p>", "a b"),
    ("<a href=x>y</a>", "y"),
    ("one<br/>two<BR>three <person>", "one two three <person>"),
    ("<UL COMPACT><LI>one<LI>two", "one two"),
    ("<td nowrap width=10%>a <A NOTRACK HREF='x y'>b", "a b"),
    ("<!DOCTYPE html><title>a &copy; b", "a © b"),
    ("<p class=MsoNormal style='margin:0'>a &nbsp; <s>b</s>", "a b"),
]


@pytest.mark.parametrize(("text", "clean"), HTML)
def test_html_is_read_as_a_browser_shows_it(text, clean):
    assert TextCleaning().clean_text(text)[0] == clean


@pytest.mark.parametrize(
    "text",
    [
        "if a<b and c>d then stop",
        "a <b c==d> e, i<a && b=c>d",
        "3 < 4 and <me@example.org> wrote > a\n> b",
        "std::vector<int> v; Map<A, List<B>> m; f<a>(b); List<String> xs; vector<map> v",
        "#include <vector>\n#include <map>\n#include <time.h>",
        "<person> moved to <city>, see <url> and <address>",
        "<s> <unk> hello <pad> </s> [CLS]",
        "<input>a</input> <output>b</output> <code>c</code>",
        "I <3 you </3 >:( <br",
        "x <- y --> z <!-- never closed",
        "AT&T ?a=1&copy=2&section=3 int *x = &num;",
    ],
)
def test_text_that_only_looks_like_html_is_kept(text):
    assert TextCleaning().clean_text(text) == (text, [])


def test_escapes_of_web_pages_are_resolved_in_any_text():
    text = "AT&amp;T &lt;3 &quot;it&#39;s&#x201d; &copy; 2&nbsp;km"

    assert TextCleaning().clean_text(text)[0] == "AT&T <3 \"it's” &copy; 2 km"


@pytest.mark.parametrize(
    "text",
    [
        "x² + ½ ① ℝ ™ … 10⁻³ H₂O ㅋㅋ 𝐱",
        "👨\u200d👩\u200d👧 می\u200cخواهم क्\u200dष",  # joiners
        "ภាសា\u200bខ្មែរ",
        "❤\ufe0f 🏴\U000e0067\U000e0062",
    ],
)
def test_characters_with_a_meaning_of_their_own_are_kept(text):
    assert TextCleaning().clean_text(text) == (text, [])


def test_lone_surrogates_are_replaced():
    assert TextCleaning().clean_text("a\ud800b")[0] == "a\ufffdb"


def test_control_characters_and_spaces_hidden_in_entities_are_removed_too():
    assert TextCleaning().clean_text("a&#0;b&nbsp;&nbsp;c&#x200b;") == (
        "a\ufffdb c",
        ["html", "control", "unicode", "whitespace"],
    )


@pytest.mark.parametrize(
    "hostile",
    [
        "<a " * 50_000,
        "<!--" * 50_000,
        "<script>" * 20_000,
        "<br>" + "<a b " * 50_000,
        "<br><a b=" + " " * 50_000,
        "<br><a " + "b " * 50_000,
        "<br><a b" + " " * 50_000,
        "<br><a" + " " * 50_000,
        "<br><a " + "b" * 50_000,
        "&#" * 50_000,
    ],
)
def test_hostile_markup_costs_no_more_than_its_length(hostile):
    begin = time.process_time()

    TextCleaning().clean_text(hostile)

    assert time.process_time() - begin < 5
