"""Pages of HTML that need nothing besides themselves: no script, no font, no request.

A page is made of blocks of plain text, numbers and pictures. Text is escaped here and nowhere else,
because names of classes, files and values come from strangers.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leyden.comparison.report.pictures import Svg, escaped

NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?( ?%| s| min| h| [MG]iB)?|-")
"""Text of a cell that is aligned to the right."""


@dataclass(frozen=True, kw_only=True)
class Badge:
    """A word with a coloured ground.

    Attributes:
        text: The word.
        tone: Class of its colour: ``best``, ``default``, ``noise``, ``differs`` or ``failed``.
    """

    text: str
    tone: str


Cell = str | Svg | Badge
"""What a cell holds; text is escaped, pictures are not."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Code:
    """Text to be copied: a command, or lines of a program."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Questions or names, with their answers."""

    answers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, which scrolls sideways in a narrow window.

    Attributes:
        header: Names of the columns.
        rows: Cells of each row.
        tones: Class of each row; empty if they have none.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    tones: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Pictures side by side, as far as there is room.

    Attributes:
        panels: Picture of each caption.
        legend: Words with their tone, for all of them.
    """

    panels: Mapping[str, Svg]
    legend: Mapping[str, str]


Block = Text | Code | Facts | Table | Pictures


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page with a heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page holds.

    Attributes:
        title: Its heading.
        subtitle: A line under the heading.
        findings: What a reader in a hurry should know.
        sections: Its parts; those without blocks are left out.
    """

    title: str
    subtitle: str
    findings: Sequence[str]
    sections: Sequence[Section]


def render(page: Page) -> str:
    """Return the whole file."""
    sections = [section for section in page.sections if section.blocks]
    links = "".join(
        f'<a href="#{_anchor(section.title)}">{escaped(section.title)}</a>' for section in sections
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(page.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{escaped(page.title)}</h1>\n<p>{escaped(page.subtitle)}</p>\n</header>\n"
        f"<main>\n{_findings(page.findings)}<nav>{links}</nav>\n"
        f"{''.join(map(_section, sections))}</main>\n</body>\n</html>\n"
    )


def _findings(findings: Sequence[str]) -> str:
    items = "".join(f"<li>{escaped(each)}</li>" for each in findings)
    return f'<ul class="findings">{items}</ul>\n' if items else ""


def _section(section: Section) -> str:
    blocks = "\n".join(map(_block, section.blocks))
    title = escaped(section.title)
    return f'<section id="{_anchor(section.title)}">\n<h2>{title}</h2>\n{blocks}\n</section>\n'


def _anchor(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower())


def _block(block: Block) -> str:
    match block:
        case Text():
            return f"<p>{escaped(block.text)}</p>"
        case Code():
            return f"<pre>{escaped(block.text)}</pre>"
        case Facts():
            answers = "".join(
                f"<dt>{escaped(name)}</dt><dd>{escaped(answer)}</dd>"
                for name, answer in block.answers.items()
            )
            return f"<dl>{answers}</dl>"
        case Table():
            return _table(block)
        case Pictures():
            return _pictures(block)


def _table(table: Table) -> str:
    tones = table.tones or [""] * len(table.rows)
    numeric = [_is_numeric(table, place) for place in range(len(table.header))]
    rows = "".join(
        f'<tr class="{tone}">{"".join(map(_cell, row, numeric))}</tr>\n'
        for row, tone in zip(table.rows, tones, strict=True)
    )
    header = "".join(
        f'<th scope="col"{NUMERIC * right}>{escaped(name)}</th>'
        for name, right in zip(table.header, numeric, strict=True)
    )
    return (
        f'<div class="wide" tabindex="0"><table>\n<thead><tr>{header}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody>\n</table></div>"
    )


NUMERIC = ' class="number"'

LONG = 40
"""Characters from which a cell may be broken into lines."""


def _is_numeric(table: Table, place: int) -> bool:
    """Whether all cells of a column that are not empty are numbers."""
    cells = [row[place] for row in table.rows if row[place] != ""]
    return all(
        isinstance(each, str) and not isinstance(each, Svg) and NUMBER.fullmatch(each)
        for each in cells
    )


def _cell(content: Cell, is_numeric: bool) -> str:  # noqa: FBT001  # it is mapped
    inner: str
    match content:
        case Svg():
            inner = content
        case Badge():
            inner = f'<span class="badge {content.tone}">{escaped(content.text)}</span>'
        case _:
            inner = escaped(content)
            if len(content) > LONG:
                return f'<td class="long">{inner}</td>'
    return f"<td{NUMERIC * is_numeric}>{inner}</td>"


def _pictures(pictures: Pictures) -> str:
    panels = "".join(
        f"<figure><figcaption>{escaped(caption)}</figcaption>{svg}</figure>"
        for caption, svg in pictures.panels.items()
    )
    legend = "".join(
        f'<span class="{tone}"><i></i>{escaped(name)}</span>'
        for name, tone in pictures.legend.items()
    )
    return (
        f'<p class="legend">{legend}</p>\n' * bool(legend) + f'<div class="panels">{panels}</div>'
    )


STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f6f7f9; --text: #1b1f24; --muted: #5b6573; --line: #dde1e7;
  --best: #1660cf; --default: #b4550a; --other: #a3abb6; --bad: #c02a37;
  --shade0: #cfd6df; --shade1: #b3c7e4; --shade2: #85a9dd; --shade3: #4c83d4; --shade4: #1660cf;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171c; --raised: #1d2128; --text: #e4e7eb; --muted: #9aa4b1; --line: #343b45;
    --best: #6ea8ff; --default: #f0a35e; --other: #68727f; --bad: #ff7b86;
    --shade0: #3a424d; --shade1: #3c5070; --shade2: #456a9f; --shade3: #5788cd; --shade4: #6ea8ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--text); line-height: 1.5; font-size: 15px;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC",
    "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic", sans-serif;
}
header, main { max-width: 1240px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 32px; }
h1 { font-size: 24px; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
header p { color: var(--muted); margin: 6px 0 0; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 40px 0 10px; padding-top: 8px; }
p { max-width: 78ch; overflow-wrap: anywhere; }
.findings {
  background: var(--raised); border-left: 4px solid var(--best); border-radius: 6px;
  margin: 20px 0; padding: 12px 16px 12px 36px; overflow-wrap: anywhere;
}
.findings li + li { margin-top: 4px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 14px; }
a { color: var(--best); text-decoration: none; }
a:hover { text-decoration: underline; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 9px; text-align: left; vertical-align: middle; white-space: nowrap; }
th:first-child, td:first-child { padding-left: 4px; }
th { color: var(--muted); font-weight: 600; border-bottom: 1px solid var(--line); }
td { border-bottom: 1px solid var(--line); }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 200px; max-width: 420px; }
td.number, th.number { text-align: right; }
tr.best td { background: color-mix(in srgb, var(--best) 8%, transparent); }
tr.baseline td { color: var(--muted); }
.badge { border-radius: 9px; padding: 1px 8px; font-size: 12.5px; background: var(--raised);
  color: var(--muted); border: 1px solid var(--line); }
.badge.best { color: var(--best); border-color: currentColor; }
.badge.default { color: var(--default); border-color: currentColor; }
.badge.differs { color: var(--text); border-color: var(--muted); }
.badge.failed { color: var(--bad); border-color: currentColor; }
pre { background: var(--raised); border: 1px solid var(--line); border-radius: 6px;
  padding: 10px 14px; font-size: 13px; white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: minmax(150px, 250px) 1fr; gap: 0; margin: 8px 0; }
dt, dd { margin: 0; padding: 7px 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
dt { color: var(--muted); padding-right: 16px; }
dd { white-space: pre-line; }
.panels { display: grid; gap: 20px 28px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 310px), 1fr)); }
figure { margin: 0; min-width: 0; }
figure:has(svg.scroll) { grid-column: 1 / -1; overflow-x: auto; }
figcaption { font-size: 14px; font-weight: 600; margin-bottom: 2px; overflow-wrap: anywhere; }
.legend { margin: 14px 0 8px; display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13.5px;
  color: var(--muted); }
.legend i { display: inline-block; width: 14px; height: 4px; border-radius: 2px; margin-right: 6px;
  vertical-align: middle; background: currentColor; }
.legend .best i { color: var(--best); } .legend .default i { color: var(--default); }
.legend .other i { color: var(--other); } .legend .shade0 i { color: var(--shade0); }
svg { display: block; }
svg.panel { width: 100%; height: auto; max-width: 460px; }
svg text { fill: var(--muted); font-size: 11.5px; }
svg text.name { fill: var(--text); font-weight: 600; }
svg text.halo { paint-order: stroke; stroke: var(--ground); stroke-width: 4px;
  stroke-linejoin: round; fill: var(--text); }
svg .axis { stroke: var(--muted); } svg .rule { stroke: var(--line); }
svg .ideal { stroke: var(--muted); stroke-dasharray: 4 4; }
svg .dot { fill: var(--other); } svg .dot.best { fill: var(--best); }
svg .dot.default { fill: var(--default); }
svg .bar { stroke: var(--other); stroke-width: 5; stroke-linecap: round; stroke-opacity: .55; }
svg .bar.best { stroke: var(--best); } svg .bar.default { stroke: var(--default); }
svg .panel .dot { fill-opacity: .85; }
svg polyline { fill: none; stroke-width: 1.5; stroke-linejoin: round; }
svg .curve { stroke: var(--other); fill: var(--other); stroke-opacity: .75; }
svg .curve.best { stroke: var(--best); fill: var(--best); stroke-opacity: 1; }
svg .curve.default { stroke: var(--default); fill: var(--default); stroke-opacity: 1; }
svg .curve.best polyline, svg .curve.default polyline { stroke-width: 2.2; }
svg .line:hover polyline, svg .curve:hover polyline { stroke-width: 4; }
svg .line.shade0 { stroke: var(--shade0); } svg .line.shade1 { stroke: var(--shade1); }
svg .line.shade2 { stroke: var(--shade2); } svg .line.shade3 { stroke: var(--shade3); }
svg .line.shade4 { stroke: var(--shade4); } svg .line.shade4 polyline { stroke-width: 2.4; }
@media (max-width: 560px) {
  header, main { padding-left: 12px; padding-right: 12px; }
  dl { grid-template-columns: 1fr; } dt { padding-bottom: 0; } dd { border-top: 0; padding-top: 0; }
}
@media print { nav { display: none; } .wide, figure { overflow: visible; } }
"""
