"""``leyden explain KEY``: what a key of the config is, and what has set it."""

from collections.abc import Iterator, Sequence
from textwrap import fill, shorten

from leyden.cli.arguments import Arguments, split
from leyden.cli.hydra_jobs import parse
from leyden.cli.sweeps import OWN_KEYS, expand_seeds
from leyden.config.compose import load
from leyden.config.explain import Explanation, explain, explain_frozen
from leyden.config.origins import convert_errors
from leyden.config.setters import Setter, find_in_file
from leyden.config.shorthands import expand_shorthands
from leyden.errors import UserError
from leyden.printable import printable
from leyden.runs.folder import existing_folder

USAGE = """usage: leyden explain KEY [GROUP=OPTION …] [KEY=VALUE …]
       leyden explain KEY run=RUN [KEY=VALUE …]

Prints the value of a key in the config that the other words compose, all files and words that set
it, in order, its type and its meaning. Of a group, prints its options. For example:

  leyden explain optimizer.lr experiment=fashion_mnist_best
  leyden explain network data=table data.path=FILE data.target=COLUMN
  leyden explain trainer.val_check_interval

KEY is a key or a group of the config, which `leyden train --help` lists. The words are those of
`leyden train`; run=RUN explains the config of a run instead."""

WIDTH = 98
"""Columns of wrapped text."""

LONGEST_MEANING = 600
"""Maximum characters of what a docstring says."""

LONGEST_VALUE = 300
"""Maximum characters of the value of a node."""

TITLES = {
    None: "options",
    True: "options that take what these data give",
    False: "options for other data",
}
"""Headings of options, by whether they fit the data."""


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: If no key is given, the key does not exist, or the config is refused.
    """
    if not words:
        print(USAGE)
        return
    arguments = split(words, "run", "resume", *OWN_KEYS)
    expand_seeds(arguments)
    named = [word for word in arguments.bare if not word.startswith("-")]
    if len(named) != 1:
        fault = f"{' '.join(named)} are {len(named)} keys" if named else "No key is named"
        raise UserError(f"{fault}. Expected one, for example: leyden explain optimizer.lr")
    arguments.overrides = expand_shorthands(arguments.overrides)
    with convert_errors(arguments.overrides):
        print(printable("\n\n".join(_sections(_explain(named[0], arguments)))))


def _explain(key: str, arguments: Arguments) -> Explanation:
    if chosen := arguments.one("run"):
        folder = existing_folder(chosen)
        config = load(folder.config, arguments.overrides)
        return explain_frozen(
            key, config, lambda key: find_in_file(key, folder.config, arguments.overrides)
        )
    parsed = parse(arguments.overrides)
    swept = [str(each.input_line) for each in parsed if each.is_sweep_override()]
    return explain(key, [word for word in arguments.overrides if word not in swept], swept=swept)


def _sections(found: Explanation) -> Iterator[str]:
    """Yield the paragraphs of an explanation."""
    yield _head(found)
    for key, setters in found.setters.items():
        if setters:
            how = "chosen by" if found.options else "set by"
            more = ", of which the last counts" if len(setters) > 1 else ""
            yield f"{key} is {how}{more}:\n{_aligned([_words(setter) for setter in setters])}"
    facts = {
        "class": ": ".join(found.target or ()),
        "type": found.kind,
        "default": found.default,
        "meaning": shorten(found.meaning, LONGEST_MEANING, placeholder=" …"),
        "keys": ", ".join(found.keys),
    }
    if known := [_fact(name, what) for name, what in facts.items() if what]:
        yield "\n".join(known)
    for fits, title in TITLES.items():
        options = [option for option in found.options if option.fits is fits]
        lines = [(f"{'*' if each.is_chosen else ' '} {each.name}", each.what) for each in options]
        if lines:
            yield f"{title}:\n{_aligned(lines)}"


def _head(found: Explanation) -> str:
    """Return the key with its value, or why it has none."""
    links = [f"${{{key}}}" for key in found.setters if key != found.key]
    if found.value is not None:
        line = " = ".join([found.key, *links, found.value])
        return shorten(line, LONGEST_VALUE, placeholder=" …")
    if any(found.setters.values()):
        return f"{found.key} is left out."
    return f"{found.key} is not set in conf/. To set it, give +{found.key}=VALUE."


def _words(setter: Setter) -> tuple[str, str]:
    comment = f"  # {setter.comment}" if setter.comment else ""
    return setter.place, shorten(setter.text, LONGEST_VALUE, placeholder=" …") + comment


def _fact(name: str, what: str) -> str:
    return fill(what, WIDTH, initial_indent=f"{name:<9}", subsequent_indent=" " * 9)


def _aligned(lines: Sequence[tuple[str, str]]) -> str:
    """Format two columns, of which the second is wrapped."""
    width = max(len(first) for first, _ in lines) + 4
    return "\n".join(
        fill(
            second,
            max(WIDTH, width + 40),
            initial_indent=f"  {first}".ljust(width),
            subsequent_indent=" " * width,
        )
        for first, second in lines
    )
