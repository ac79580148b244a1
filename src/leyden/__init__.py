"""Leyden: a PyTorch Lightning + Hydra project template."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leyden.serving.loading import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """Import ``load`` when it is used, because commands import the package first."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from leyden.serving.loading import load

    return load
