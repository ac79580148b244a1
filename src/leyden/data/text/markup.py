"""Removal of HTML from texts that are HTML.

Angle brackets often enclose something else: comparisons, types in code, placeholders such as
``<person>``, markers such as ``<s>`` and ``<unk>``. Two rules keep those:

* A text is HTML only if it holds something that other texts do not: a document type, a line break,
  an element with an attribute, a closed comment or script, or the end tag of an element whose name
  is rarely a placeholder.
* In such a text, only tags of HTML's elements are removed, and only if the name is followed by
  attributes or nothing. In all other texts every tag stays.
"""

import html
import re

UNAMBIGUOUS = {
    "a", "abbr", "acronym", "b", "big", "blockquote", "center", "dd", "del", "dfn", "div", "dl",
    "dt", "em", "font", "h1", "h2", "h3", "h4", "h5", "h6", "html", "i", "ins", "kbd", "li",
    "nobr", "ol", "p", "pre", "samp", "script", "small", "span", "strike", "strong", "style",
    "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul",
}  # fmt: skip
"""Elements whose end tag shows that a text is HTML."""

AMBIGUOUS = {
    "address", "applet", "area", "article", "aside", "audio", "base", "basefont", "bgsound",
    "blink", "body", "button", "canvas", "caption", "cite", "code", "col", "colgroup", "data",
    "datalist", "details", "dialog", "dir", "embed", "fieldset", "figcaption", "figure",
    "footer", "form", "frame", "frameset", "head", "header", "iframe", "ilayer", "img", "input",
    "label", "layer", "legend", "link", "main", "map", "mark", "marquee", "menu", "meta",
    "meter", "nav", "noframes", "nolayer", "noscript", "object", "optgroup", "option", "output",
    "param", "picture", "progress", "q", "s", "search", "section", "select", "source",
    "summary", "svg", "template", "textarea", "time", "title", "track", "var", "video",
}  # fmt: skip
"""Elements whose names may be placeholders or types as well."""

BREAKS = ("br", "hr", "wbr")
"""Elements without an end tag, whose start tag shows that a text is HTML."""

INLINE = {
    "a", "abbr", "acronym", "b", "big", "code", "del", "em", "font", "i", "ins", "kbd", "mark",
    "nobr", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "wbr",
}  # fmt: skip
"""Elements that may begin or end within a word."""

ELEMENTS = "|".join(sorted({*UNAMBIGUOUS, *AMBIGUOUS, *BREAKS}))

ATTRIBUTE = (
    r"(?:[a-z_:@][\w:.-]*\s*=(?!=)"
    r"|(?:async|border|checked|clear|compact|controls|defer|disabled|hidden|ismap|multiple|nohref"
    r"|noresize|noshade|nowrap|readonly|selected)\b)"
)
"""Beginning of an attribute: a name and an equals sign, or the name of one without a value."""

TAG = re.compile(
    r"<!--.*?(?:-->|\Z)"  # unclosed ones end with the text, as in browsers
    r"|<(script|style)(?:\s[^<>]*)?>.*?(?:</\1\s*>|\Z)"
    r"|<!doctype\s[^<>]*>"
    rf"|<(/?)({ELEMENTS})(?:\s+((?:[a-z]+\s+)*{ATTRIBUTE}[^<>]*)|\s*/?)>",
    re.DOTALL | re.IGNORECASE,
)
"""Comments, scripts and tags, each to its end."""

ESCAPES = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")
"""Character references that are resolved in every text.

Others, as in ``AT&T``, ``?a=1&copy=2`` and ``x = &num;``, are more likely variables outside HTML.
"""


def strip_html(text: str) -> str:
    """Remove markup from a text that is HTML, and resolve character references.

    Args:
        text: Any text. If it is not HTML, only the references in ``ESCAPES`` are resolved.

    Example:
        >>> strip_html("<p>b&uuml;sche</p>"), strip_html("if a<b and c>d &amp; e")
        (' büsche ', 'if a<b and c>d & e')
    """
    if "<" in text and any(map(_shows_html, TAG.finditer(text))):
        return html.unescape(TAG.sub(_gap, text))
    return ESCAPES.sub(lambda escape: html.unescape(escape[0]), text) if "&" in text else text


def _shows_html(tag: re.Match[str]) -> bool:
    """Whether a match of ``TAG`` occurs in HTML only."""
    code, end, element, attributes = tag.groups()
    if element is None:
        closing = f"</{code.lower()}" if code else "-->"
        return closing in tag[0].lower() or tag[0].lower().startswith("<!doctype")
    name = element.lower()
    begins_with_attribute = attributes and re.match(ATTRIBUTE, attributes, re.IGNORECASE)
    ends_element = end and name in UNAMBIGUOUS
    return bool(begins_with_attribute or ends_element or name in (*BREAKS, "html"))


def _gap(tag: re.Match[str]) -> str:
    """Return what replaces a match of ``TAG``: nothing if it may be within a word, or a space."""
    name = tag[3]
    return "" if tag[0].startswith("<!--") or (name and name.lower() in INLINE) else " "
