"""Hydra targets, resolved by reading source files: nothing that a config names is imported.

Importing torch takes seconds, and importing a stranger's target may already do harm. So a target is
found as a definition in a source file, and refused unless both its name and its home are trusted.
"""

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, Signature
from typing import Any

from leyden.config.static import annotations
from leyden.config.static.sources import (
    Class,
    Found,
    Function,
    Module,
    find_module,
    lookup,
    signature_of,
)
from leyden.errors import FaultyKeyError, UserError, did_you_mean

# What a config may name: these, and what is defined under them.
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
# Where functions may be named as well as classes: those elsewhere open, fetch and write files.
TRUSTED_FUNCTIONS: tuple[str, ...] = (
    *(f"leyden.{room}" for room in ("losses", "networks", "optim")),
    "torch.nn",
    "torch.optim",
    "torchmetrics.functional",
)
# Under a trusted name, yet made to load or download models, which may bring code of their own.
DENIED: tuple[str, ...] = (
    "torchmetrics.audio.dnsmos",
    "torchmetrics.audio.nisqa",
    "torchmetrics.audio.srmr",
    "torchmetrics.detection.helpers",
    "torchmetrics.functional.audio.dnsmos",
    "torchmetrics.functional.audio.nisqa",
    "torchmetrics.functional.audio.srmr",
    "torchmetrics.functional.image.arniqa",
    "torchmetrics.functional.image.dists",
    "torchmetrics.functional.image.lpips",
    "torchmetrics.functional.image.perceptual_path_length",
    "torchmetrics.functional.multimodal",
    "torchmetrics.functional.text.bert",
    "torchmetrics.functional.text.helper_embedding_metric",
    "torchmetrics.functional.text.infolm",
    "torchmetrics.functional.text.rouge",
    "torchmetrics.functional.text.sacre_bleu",
    "torchmetrics.functional.video.vmaf",
    "torchmetrics.image.arniqa",
    "torchmetrics.image.dists",
    "torchmetrics.image.fid",
    "torchmetrics.image.inception",
    "torchmetrics.image.kid",
    "torchmetrics.image.lpip",
    "torchmetrics.image.mifid",
    "torchmetrics.image.perceptual_path_length",
    "torchmetrics.multimodal",
    "torchmetrics.text.bert",
    "torchmetrics.text.infolm",
    "torchmetrics.text.rouge",
    "torchmetrics.text.sacre_bleu",
    "torchmetrics.video.vmaf",
)
# Classes of Lightning that write into the run folder or nowhere, and connect to no server. A config
# that is read from a file of unknown origin may name these; any other is the user's to choose.
STAYING: tuple[str, ...] = (
    *(
        f"lightning.pytorch.callbacks.{module}"
        for module in (
            "device_stats_monitor",
            "early_stopping",
            "finetuning",
            "gradient_accumulation_scheduler",
            "lr_monitor",
            "model_summary",
            "progress",
            "pruning",
            "rich_model_summary",
            "stochastic_weight_avg",
            "throughput_monitor",
            "timer",
            "weight_averaging",
        )
    ),
    *(
        f"lightning.pytorch.strategies.{module}"
        for module in ("ddp", "fsdp", "model_parallel", "single_device")
    ),
    "lightning.fabric.plugins.precision",
    "lightning.pytorch.accelerators",
    "lightning.pytorch.plugins.precision",
    "lightning.pytorch.trainer.trainer.Trainer",
)
_HERE = "src/leyden/config/targets.py"
_LONGEST_HINT = 120
_HYDRA_TYPES: dict[str, tuple[type, str]] = {
    "_partial_": (bool, "true or false"),
    "_recursive_": (bool, "true or false"),
    "_convert_": (str, "none, partial, object or all"),
    "_args_": (list, "a list"),
}
HYDRA_KEYS = frozenset({"_target_", *_HYDRA_TYPES})
"""Keys of a node that are not arguments."""
_NAMELESS = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Target:
    """What a ``_target_`` stands for.

    Attributes:
        target: As it was given.
        canonical: The dotted name of its definition.
        signature: Annotations and defaults are the ``ast.expr`` of the source.
        is_class: Whether it is a class, not a function.
    """

    target: str
    canonical: str
    signature: Signature
    is_class: bool


@functools.cache  # so that what is built needs no second look at the sources
def resolve(target: str) -> Target:
    """Find the definition of a target without importing anything.

    Raises:
        UserError: The target is not trusted, does not exist, or is no class or function.
    """
    if not all(part.isidentifier() for part in target.split(".")):
        shown = f"{target!r:.{_LONGEST_HINT}}"
        raise UserError(f"_target_ {shown} is not a dotted name such as 'torch.optim.AdamW'.")
    _refuse(target, target, trusted=TRUSTED, public=target)
    found = _find(target)
    is_class = isinstance(found, Class)
    # Public classes may have a private home, as torch.optim.Muon has; functions may not.
    public = target if is_class else found.canonical
    trusted = TRUSTED if is_class else TRUSTED_FUNCTIONS
    _refuse(target, found.canonical, trusted=trusted, public=public)
    return Target(target, found.canonical, signature_of(found), is_class)


def imported(target: Target) -> Any:
    """Import what a target stands for: that very definition, not what else bears its name."""
    module, _, name = target.canonical.rpartition(".")
    return getattr(import_module(module), name)


def is_of_lightning(target: Target) -> bool:
    """Whether a target is defined in Lightning."""
    return _within(target.canonical, ("lightning",))


def stays_in_run_folder(target: Target) -> bool:
    """Whether a class of Lightning writes into the run folder or nowhere, and does not connect."""
    return _within(target.canonical, STAYING)


def bind(target: Target, arguments: Mapping[str, Any], *, partial: bool, where: str) -> None:
    """Check the arguments that a config node gives to its target.

    Args:
        target: What will be called.
        arguments: The node, with or without Hydra's own keys.
        partial: Whether further arguments follow at run time, so that none is missing yet.
        where: The dotted key of the node, which messages begin with.

    Raises:
        UserError: An argument is unknown, missing, or of a wrong type.
    """
    key = f"{where}." if where else ""
    for name, (kind, expected) in _HYDRA_TYPES.items():
        if name in arguments and not isinstance(arguments[name], kind):
            raise FaultyKeyError(
                f"{key}{name}", f"expected {expected}, got {arguments[name]!r:.80}."
            )
    parameters = target.signature.parameters.values()
    known = {p.name: p for p in parameters if p.kind not in _NAMELESS}
    given = _by_position(target, arguments.get("_args_", ()), key)
    given |= {name: value for name, value in arguments.items() if name not in HYDRA_KEYS}
    for name, value in given.items():
        if name in known:
            fault = annotations.mismatch(known[name], value)
            if fault:
                raise FaultyKeyError(f"{key}{name}", f"{fault}.")
        elif all(p.kind is not Parameter.VAR_KEYWORD for p in parameters):
            hint = _hint(name, known)
            fault = f"{target.target} takes no argument {name!r}.{hint}"
            raise FaultyKeyError(f"{key}{name}", fault)
    required = (name for name, p in known.items() if p.default is Parameter.empty)
    missing = [f"{key}{name}" for name in required if name not in given]
    if missing and not partial:
        raise UserError(f"{target.target} lacks required arguments: set {', '.join(missing)}.")


def accepts(target: Target, given: Collection[str], own: Collection[str]) -> bool:
    """Whether a target can be called with these arguments and no others.

    Args:
        target: What will be called.
        given: Names of arguments that it has to take.
        own: Names of arguments that a config node gives it beside.
    """
    named = [p for p in target.signature.parameters.values() if p.kind not in _NAMELESS]
    required = {p.name for p in named if p.default is Parameter.empty}
    return set(given) <= {p.name for p in named} and required <= {*given, *own}


def _by_position(target: Target, values: Sequence[Any], key: str) -> dict[str, Any]:
    parameters = target.signature.parameters.values()
    names = [p.name for p in parameters if p.kind not in (*_NAMELESS, Parameter.KEYWORD_ONLY)]
    endless = any(p.kind is Parameter.VAR_POSITIONAL for p in parameters)
    if len(values) > len(names) and not endless:
        most = f"at most {len(names)} arguments by position, got {len(values)}"
        raise UserError(f"{key}_args_: {target.target} takes {most}.")
    return dict(zip(names, values, strict=False))


def _refuse(target: str, name: str, *, public: str, trusted: tuple[str, ...]) -> None:
    """Refuse a target for one of its names: the one that was given, or the one of its home."""
    if any(part.startswith("_") for part in public.split(".")):
        reason = f"{public!r} is private. Name something public"
    elif _within(name, DENIED):
        reason = f"{name!r} loads or downloads models. Choose the model in "
        reason += "Python instead, in a class of your own in leyden"
    elif not _within(name, TRUSTED):
        reason = f"{name!r} is not in a trusted package. Put what you need in a room of leyden"
        reason += f" ({', '.join(_ROOMS)}), or add the package to TRUSTED in {_HERE}"
    elif not _within(name, trusted):
        reason = f"{name!r} is a function, and only classes are trusted there. Name a class"
    else:
        return
    package = ".".join(name.split(".")[:2])
    hint = "" if _within(name, TRUSTED) else _hint(package, TRUSTED)
    raise UserError(f"_target_ {target!r} is refused: {reason}.{hint}")


def _within(name: str, prefixes: Iterable[str]) -> bool:
    return any(f"{name}.".startswith(f"{prefix}.") for prefix in prefixes)


def _hint(name: str, known: Iterable[str]) -> str:
    hint = did_you_mean(name, known)
    # The names of a whole package would drown the message.
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
        raise UserError(f"_target_ {target!r} is a module, where a class or function belongs.")
    return found


def _fault(holder: Module, name: str) -> str:
    if name in holder.bindings:
        return f"cannot be read: {name!r} is no class or function in the source of {holder.name}."
    hint = _hint(name, holder.public(lambda name: _within(name, TRUSTED)) | holder.submodules())
    return f"does not exist: {holder.name} has no {name!r}.{hint}"
