"""``leyden completion SHELL``: prints a script for tab completion."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from leyden.cli.main import COMMANDS
from leyden.errors import UserError, did_you_mean
from leyden.serving.server.options import Options

USAGE = """usage: leyden completion bash|zsh|fish

Prints a script for tab completion of commands, groups, options, keys and runs. To install it, add
this line to ~/.bashrc, or for zsh to ~/.zshrc:

  eval "$(leyden completion bash)"

or for fish to ~/.config/fish/config.fish:

  leyden completion fish | source"""

# The scripts pass the line up to the cursor. Complete candidates end with a space.

BASH = r"""_leyden() {
  local line="${COMP_LINE:0:COMP_POINT}" candidate breaks="" kept="" quoted=""
  # the last word: characters, escaped ones, and quotes that may be open
  [[ $line =~ ([^[:space:]\\\"\']|\\.|\'[^\']*\'?|\"[^\"]*\"?)*$ ]]
  local word="${BASH_REMATCH[0]}"
  [[ $word == *[\"\']* ]] && quoted=yes
  # bash replaces only what follows the last = or : of the word
  word="${word%%[\"\']*}"
  case $COMP_WORDBREAKS in *=*) breaks+='=' ;; esac
  case $COMP_WORDBREAKS in *:*) breaks+=':' ;; esac
  [[ -n $breaks && $word == *[$breaks]* ]] && kept="${word%"${word##*[$breaks]}"}"
  kept="${kept//\\/}"
  COMPREPLY=()
  while IFS= read -r candidate; do
    candidate="${candidate#"$kept"}"
    if [[ $quoted ]]; then
      candidate="${candidate% }"
    elif [[ ${candidate% } == *[[:space:]\"\'\\\&\;\(\)\$\`\|\<\>]* ]]; then
      [[ $candidate == *' ' ]] && candidate="$(printf %q "${candidate% }") " ||
        candidate="$(printf %q "$candidate")"
    fi
    COMPREPLY+=("$candidate")
  done < <(leyden completion candidates "$line" 2>/dev/null)
}
complete -o nospace -F _leyden leyden"""

ZSH = r"""_leyden() {
  local -a whole begun
  local candidate
  while IFS= read -r candidate; do
    if [[ $candidate == *' ' ]]; then
      whole+=("${${candidate% }// /\\ }")
    else
      begun+=("${candidate// /\\ }")
    fi
  done < <(leyden completion candidates "${words[1,CURRENT-1]} $PREFIX" 2>/dev/null)
  compadd -Q -S ' ' -a whole
  compadd -Q -S '' -a begun
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _leyden leyden"""

FISH = """function __leyden
  leyden completion candidates (commandline -cp | string collect) 2>/dev/null | string trim -r
end
complete -c leyden -f -a '(__leyden)'"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}

SWEEP: Mapping[str, Sequence[str]] = {"seeds": (), "retries": (), "dry_run": ("true",)}
"""Keys of the commands that sweep."""

COMMAND_KEYS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "train": {"run": (), "resume": ("auto",), **SWEEP},
    "crossval": {
        "run": (),
        "folds": (),
        "repeats": (),
        "jobs": (),
        "resume": ("auto",),
        **SWEEP,
    },
    "baselines": {"folds": (), "repeats": ()},
    "calibrate": {"run": (), "threshold": ("accuracy", "balanced_accuracy", "f1")},
    "report": {"path": (), "confirm": ()},
    "explain": {"run": ()},
    "schema": {"to": ()},
    "runs": {"path": (), "sort": ("time", "size"), "clean": ("failed",)},
    "evaluate": {"run": (), "changed_data": ("allow",)},
    "predict": {
        "run": (),
        "export": (),
        "input": (),
        "format": ("csv", "jsonl"),
        "output": (),
        "processes": (),
        "top": (),
        "columns": ("all",),
    },
    "export": {
        "run": (),
        "to": (),
        "format": ("onnx", "pt2", "safetensors"),
        "precision": ("fp32", "fp16", "int8"),
        "deploy": ("triton", "kserve"),
        "input": (),
    },
    "serve": {"run": (), "export": (), **{option.name: () for option in fields(Options)}},
    "consolidate": {"run": (), "to": ()},
}
"""Own keys of each command, with their values if there are only a few."""

WITHOUT_CONFIG = ("consolidate", "report", "runs", "schema", "serve")
"""Commands that take no overrides of a config."""

FLAGS = {
    "train": ("--cfg", "--help", "--rerun", "-m"),
    "crossval": ("--cfg", "--help", "-m"),
}
"""Flags of commands that have others than ``--help``."""


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: If the shell is unknown.
    """
    match list(words):
        case [shell] if shell in SCRIPTS:
            print(SCRIPTS[shell])
        case ["candidates", line]:
            print("\n".join(candidates(line)))
        case []:
            print(USAGE)
        case [shell, *_]:
            raise UserError(f"The shell {shell!r} is unknown.{did_you_mean(shell, SCRIPTS)}")


def candidates(line: str) -> list[str]:
    """Return the completions of the last word of a line; complete words end with a space.

    Args:
        line: The command line from the name of the program to the cursor.
    """
    *before, word = _words(line)
    match before:
        case [_]:
            found: Iterator[str] = (f"{command} " for command in COMMANDS)
        case [_, "completion"]:
            found = (f"{shell} " for shell in SCRIPTS)
        case [_, command, *rest] if command in COMMAND_KEYS:
            found = _of_command(command, rest, word)
        case _:
            found = iter(())
    return sorted({each for each in found if each.startswith(word)})


def _words(line: str) -> list[str]:
    """Split a line as a shell does, except that the last quote may be open."""
    for quote in ("", "'", '"'):
        with suppress(ValueError):
            words = shlex.split(line + quote)
            is_new_word = not quote and line[-1:] in ("", " ") and not line.endswith("\\ ")
            return [*words, ""] if is_new_word else words
    return line.split() or [""]


def _of_command(command: str, before: Sequence[str], word: str) -> Iterator[str]:
    key, equals, value = word.partition("=")
    if equals:
        yield from (f"{key}={each}" for each in _values(command, key, value, before))
        return
    yield from (f"{each}=" for each in COMMAND_KEYS[command])
    yield from (f"{flag} " for flag in FLAGS.get(command, ("--help",)))
    if command == "predict":
        yield from _paths(word)
    if command == "explain" and all("=" in each for each in before):
        yield from (f"{each[:-1]} " if each[-1] == "=" else each for each in _keys(before, word))
    elif command not in WITHOUT_CONFIG:
        yield from _keys(before, word)


def _values(command: str, key: str, value: str, before: Sequence[str]) -> Iterator[str]:
    """Yield the values of a key; complete ones end with a space."""
    if key in COMMAND_KEYS[command]:
        runs = [run for run in _runs(key) if run.startswith(value)]
        yield from (f"{each} " for each in (*runs, *COMMAND_KEYS[command][key]))
        if key in ("run", "path", "input", "to", "export", "keys", "output") and not runs:
            yield from _paths(value)
        return
    from leyden.config.compose import select  # imports Hydra
    from leyden.config.options import groups, path_keys_of_options

    name = key.lstrip("+~")
    if name.startswith("data.") and name in path_keys_of_options():
        yield from _paths(value)
    elif options := groups().get(name):
        start = max(value.rfind(sign) for sign in ",[") + 1  # in a list, or a sweep's values
        end = "" if "[" in value else " "
        yield from (f"{value[:start]}{option}{end}" for option in options)
    elif isinstance(default := select(_config(before), name), bool):
        yield from ("true ", "false ")
    elif isinstance(default, int | float | str):
        yield f"{default} "


def _keys(before: Sequence[str], word: str) -> Iterator[str]:
    """Yield groups and keys up to the next dot, with the + or ~ at the start of the word."""
    from leyden.config.compose import keys  # imports Hydra
    from leyden.config.options import ACROSS_GROUPS, groups

    prefix = word[: len(word) - len(word.lstrip("+~"))]
    depth = word.count(".") + 1
    for key in keys(_config(before)):
        names = key.split(".")
        yield prefix + ".".join(names[:depth]) + ("." if len(names) > depth else "=")
    for group in groups():
        if group not in ACROSS_GROUPS or not prefix:
            yield f"{prefix}{group}="


def _config(before: Sequence[str]) -> Any:
    """Compose the config of the options chosen so far, or read that of the run."""
    from leyden.config.compose import compose, load
    from leyden.config.options import groups
    from leyden.config.origins import convert_errors
    from leyden.config.shorthands import expand_shorthands
    from leyden.runs.folder import find_run

    chosen = [word for word in before if word.lstrip("+~").partition("=")[0] in groups()]
    with suppress(UserError), convert_errors(chosen):
        for word in before:
            if word.startswith("run="):
                return load(find_run(word.removeprefix("run="))[0].config)
        return compose(expand_shorthands(chosen))
    return compose([])


def _runs(key: str) -> Iterator[str]:
    """Yield the run folders, including those of sweeps; for ``path`` the sweeps too."""
    from leyden.runs.folder import RUNS

    files = {"run": ("config.yaml",), "path": ("config.yaml", "sweep.json")}.get(key, ())
    return (str(path.parent) for file in files for path in RUNS.glob(f"**/{file}"))


def _paths(text: str) -> Iterator[str]:
    """Yield files and folders that complete a path; hidden ones only after a dot."""
    folder, slash, name = text.rpartition("/")
    with suppress(OSError):
        for path in Path(f"{folder}{slash}").expanduser().iterdir():
            if path.name.startswith(".") == name.startswith("."):
                yield f"{folder}{slash}{path.name}" + ("/" if path.is_dir() else " ")
