"""Hydra targets, resolved by reading source files instead of importing them.

Importing torch takes seconds, and importing a target of unknown origin may be harmful. A target is
therefore found as a definition in a source file, and refused unless both its name and the place of
its definition are trusted.
"""

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, Signature
from typing import Any

from leyden.config.projects import find_projects, why_untrusted
from leyden.config.static import annotations
from leyden.config.static.sources import (
    Class,
    Found,
    Function,
    Module,
    find_module,
    lineage,
    lookup,
    signature_of,
)
from leyden.errors import FaultyKeyError, UserError, did_you_mean, unexpected

# Names that a config may use as targets, and everything defined below them.
_ROOMS = ("callbacks", "data", "losses", "networks", "optim", "strategies", "tasks")
_LIGHTNING = ("accelerators", "callbacks", "loggers", "plugins", "profilers", "strategies")
TRUSTED: tuple[str, ...] = (
    *(f"leyden.{room}" for room in _ROOMS),
    *(f"lightning.pytorch.{room}" for room in _LIGHTNING),
    "lightning.fabric.plugins",
    "lightning.pytorch.Trainer",
    "lightning.pytorch.trainer.trainer.Trainer",
    "torch.nn",
    "torch.optim",
    "torchmetrics",
)
# Where functions are trusted too; elsewhere, they open, download and write files.
TRUSTED_FUNCTIONS: tuple[str, ...] = (
    *(f"leyden.{room}" for room in ("losses", "networks", "optim")),
    "torch.nn",
    "torch.optim",
    "torchmetrics.functional",
)
# Modules of metrics that load or download models, which may contain code.
DENIED: tuple[str, ...] = tuple(
    f"{package}.{module}"
    for package in ("torchmetrics", "torchmetrics.functional")
    for module in (
        "audio.dnsmos",
        "audio.nisqa",
        "audio.srmr",
        "detection.helpers",
        "image.arniqa",
        "image.dists",
        "image.fid",
        "image.inception",
        "image.kid",
        "image.lpip",
        "image.lpips",
        "image.mifid",
        "image.perceptual_path_length",
        "multimodal",
        "text.bert",
        "text.helper_embedding_metric",
        "text.infolm",
        "text.rouge",
        "text.sacre_bleu",
        "video.vmaf",
    )
)
# Classes of Lightning that write only to the run folder and do not connect to servers. A config of
# unknown origin may name these; all others must be chosen by the user.
STAYING: tuple[str, ...] = (
    "lightning.fabric.plugins.precision",
    "lightning.pytorch.accelerators",
    "lightning.pytorch.callbacks.device_stats_monitor",
    "lightning.pytorch.callbacks.early_stopping",
    "lightning.pytorch.callbacks.finetuning",
    "lightning.pytorch.callbacks.gradient_accumulation_scheduler",
    "lightning.pytorch.callbacks.lr_monitor",
    "lightning.pytorch.callbacks.model_summary",
    "lightning.pytorch.callbacks.progress",
    "lightning.pytorch.callbacks.pruning",
    "lightning.pytorch.callbacks.rich_model_summary",
    "lightning.pytorch.callbacks.stochastic_weight_avg",
    "lightning.pytorch.callbacks.throughput_monitor",
    "lightning.pytorch.callbacks.timer",
    "lightning.pytorch.callbacks.weight_averaging",
    "lightning.pytorch.plugins.precision",
    "lightning.pytorch.strategies.ddp",
    "lightning.pytorch.strategies.fsdp",
    "lightning.pytorch.strategies.model_parallel",
    "lightning.pytorch.strategies.single_device",
    "lightning.pytorch.trainer.trainer.Trainer",
)
_LONGEST_HINT = 120
_HYDRA_TYPES: dict[str, tuple[type, str]] = {
    "_partial_": (bool, "true or false"),
    "_recursive_": (bool, "true or false"),
    "_convert_": (str, "none, partial, object or all"),
    "_args_": (list, "a list"),
}
HYDRA_KEYS = frozenset({"_target_", *_HYDRA_TYPES})
"""Keys of a node that are not arguments of its target."""
_NAMELESS = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Target:
    """A class or function that a ``_target_`` refers to.

    Attributes:
        target: Dotted name, as given.
        canonical: Dotted name of the definition.
        signature: Signature, in which annotations and defaults are expressions of ``ast``.
        definition: The definition itself.
    """

    target: str
    canonical: str
    signature: Signature
    definition: Class | Function

    @property
    def is_class(self) -> bool:
        """Whether it is a class rather than a function."""
        return isinstance(self.definition, Class)

    @property
    def classes(self) -> Iterator[Class]:
        """The class and its bases, in the method resolution order; none for a function."""
        return lineage(self.definition) if isinstance(self.definition, Class) else iter(())


def resolve(target: str) -> Target:
    """Find the definition of a target without importing anything.

    Raises:
        UserError: If the target is not trusted, does not exist, or is not a class or function.
    """
    if not all(part.isidentifier() for part in target.split(".")):
        shown = f"{target!r:.{_LONGEST_HINT}}"
        raise UserError(f"_target_ {shown} is not a dotted name such as 'torch.optim.AdamW'.")
    _refuse(target, target, trusted=trusted_names(), public=target)
    found = _definition(target)
    # Public classes may be defined in private modules, such as torch.optim.Muon.
    public = target if found.is_class else found.canonical
    trusted = trusted_names() if found.is_class else _trusted_functions()
    _refuse(target, found.canonical, trusted=trusted, public=public)
    return found


@functools.cache  # building needs no second look at the sources
def _definition(target: str) -> Target:
    found = _find(target)
    return Target(target, found.canonical, signature_of(found), found)


def trusted_names() -> tuple[str, ...]:
    """Return the names that a config may use as targets, with everything defined below them."""
    return (*TRUSTED, *(project.package for project in find_projects()))


def _trusted_functions() -> tuple[str, ...]:
    """Return the names below which functions are trusted, in projects too."""
    rooms = ("losses", "networks", "optim")
    own = (f"{project.package}.{room}" for project in find_projects() for room in rooms)
    return (*TRUSTED_FUNCTIONS, *own)


def import_target(target: Target) -> Any:
    """Import a target from the module that defines it."""
    module, _, name = target.canonical.rpartition(".")
    return getattr(import_module(module), name)


def is_of_lightning(target: Target) -> bool:
    """Whether a target is defined in Lightning."""
    return _within(target.canonical, ("lightning",))


def stays_in_run_folder(target: Target) -> bool:
    """Whether a class of Lightning writes only to the run folder and connects to no server."""
    return _within(target.canonical, STAYING)


def bind(target: Target, node: Mapping[str, Any], *, where: str) -> None:
    """Check the arguments of a node against the signature of its target.

    Args:
        target: Class or function that will be called.
        node: The arguments, and Hydra's own keys; with ``_partial_``, arguments may be missing.
        where: Dotted key of the node, with which messages begin.

    Raises:
        UserError: If an argument is unknown, missing, or of a wrong type.
    """
    key = f"{where}." if where else ""
    for name, (kind, expected) in _HYDRA_TYPES.items():
        if name in node and not isinstance(node[name], kind):
            raise unexpected(f"{key}{name}", expected, node[name])
    parameters = target.signature.parameters.values()
    known = {p.name: p for p in parameters if p.kind not in _NAMELESS}
    given = _by_position(target, node.get("_args_", ()), key)
    given |= {name: value for name, value in node.items() if name not in HYDRA_KEYS}
    for name, value in given.items():
        if name in known:
            if fault := annotations.mismatch(known[name], value):
                raise FaultyKeyError(f"{key}{name}", f"{fault}.")
        elif all(p.kind is not Parameter.VAR_KEYWORD for p in parameters):
            fault = f"{target.target} takes no argument {name!r}.{_hint(name, known)}"
            raise FaultyKeyError(f"{key}{name}", fault)
    required = (name for name, p in known.items() if p.default is Parameter.empty)
    missing = [f"{key}{name}" for name in required if name not in given]
    if missing and not node.get("_partial_"):
        raise UserError(f"{target.target} lacks required arguments: set {', '.join(missing)}.")


def accepts(target: Target, given: Collection[str], node: Mapping[str, Any]) -> bool:
    """Whether a target takes the given arguments and requires no others.

    Args:
        target: Class or function that will be called.
        given: Names of arguments that it must take.
        node: Its config node, which sets other arguments.
    """
    parameters = target.signature.parameters.values()
    named = {p.name: p for p in parameters if p.kind not in _NAMELESS}
    required = {name for name, p in named.items() if p.default is Parameter.empty}
    is_open = any(p.kind is Parameter.VAR_KEYWORD for p in parameters)
    own = {*node, *_by_position(target, node.get("_args_", ()), "")}
    return (is_open or named.keys() >= set(given)) and required <= {*given, *own}


def _by_position(target: Target, values: Sequence[Any], key: str) -> dict[str, Any]:
    parameters = target.signature.parameters.values()
    names = [p.name for p in parameters if p.kind not in (*_NAMELESS, Parameter.KEYWORD_ONLY)]
    endless = any(p.kind is Parameter.VAR_POSITIONAL for p in parameters)
    if len(values) > len(names) and not endless:
        most = f"at most {len(names)} arguments by position, got {len(values)}"
        raise UserError(f"{key}_args_: {target.target} takes {most}.")
    return dict(zip(names, values, strict=False))


def _refuse(target: str, name: str, *, public: str, trusted: tuple[str, ...]) -> None:
    """Refuse a target for one of its names, the given or the canonical one."""
    if any(part.startswith("_") for part in public.split(".")):
        reason = f"{public!r} is private. Name something public"
    elif _within(name, DENIED):
        reason = f"{name!r} loads or downloads models. Choose the model in "
        reason += "Python instead, in a class of your own in leyden"
    elif not _within(name, trusted_names()):
        reason = f"{name!r} is not in a trusted package.{why_untrusted(name.partition('.')[0])} "
        reason += "Define it in src/NAME of your project and run the command in the project's "
        reason += "folder, or install a project that has the entry point leyden.project"
    elif not _within(name, trusted):
        reason = f"{name!r} is a function, and only classes are trusted there. Name a class"
    else:
        return
    package = ".".join(name.split(".")[:2])
    hint = "" if _within(name, trusted_names()) else _hint(package, trusted_names())
    raise UserError(f"_target_ {target!r} is refused: {reason}.{hint}")


def _within(name: str, prefixes: Iterable[str]) -> bool:
    return any(f"{name}.".startswith(f"{prefix}.") for prefix in prefixes)


def _hint(name: str, known: Iterable[str]) -> str:
    hint = did_you_mean(name, known)
    # A list of all names of a package would be too long.
    return hint if len(hint) < _LONGEST_HINT else ""


def _find(target: str) -> Class | Function:
    top, *path = target.split(".")
    found: Found | None = find_module(top)
    if found is None:
        raise UserError(f"_target_ {target!r} does not exist: is {top!r} installed?")
    for part in path:
        if not isinstance(found, Module):
            reason = f"it is inside {found.canonical}. Name a class or function of a module"
            raise UserError(f"_target_ {target!r} is refused: {reason}.")
        holder = found
        found = lookup(holder, part)
        if found is None:
            raise UserError(f"_target_ {target!r} {_fault(holder, part)}")
    if isinstance(found, Module):
        raise UserError(f"_target_ {target!r} is a module. Expected a class or function.")
    return found


def _fault(holder: Module, name: str) -> str:
    if name in holder.bindings:
        return (
            f"cannot be read: {name!r} is not a class or function in the source of {holder.name}."
        )
    hint = _hint(
        name, holder.public(lambda name: _within(name, trusted_names())) | holder.submodules()
    )
    return f"does not exist: {holder.name} has no {name!r}.{hint}"
