"""``leyden.load``: a trained network from a run, a checkpoint or an export."""

from pathlib import Path

from leyden.errors import UserError
from leyden.serving.artefact import GRAPHS, WEIGHTS, Network, Session, is_artefact, read_artefact
from leyden.serving.predictor import ArtefactPredictor, PathName, Predictor


def load(path: PathName, *, threads: int | None = None) -> Predictor:
    """Load a trained network to predict with.

    An exported network needs ONNX Runtime, NumPy and the decoder of its files; torch is imported
    only for a run or a checkpoint.

    Args:
        path: Run folder, whose best checkpoint is loaded; checkpoint; or folder that ``leyden
            export`` wrote.
        threads: Threads of one call of an exported network; ``None`` for one per core. A run takes
            those of torch.

    Returns:
        An object with ``predict``.

    Raises:
        UserError: If the path does not exist, is neither of these, or is damaged.

    Example:
        >>> network = load("exports/digits")  # doctest: +SKIP
        >>> network.predict("seven.png")  # doctest: +SKIP
        [{'file': 'seven.png', 'class': '7', 'probability': 0.9987}]
    """
    path = Path(path).expanduser()
    if is_artefact(path):
        return open_export(path, threads=threads)
    if not path.exists():
        raise UserError(f"{path} does not exist. Expected a run, a checkpoint or an export.")
    from leyden.serving.run_predictor import RunPredictor  # imports torch

    return RunPredictor(str(path))


def open_export(path: Path, *, threads: int | None = None) -> ArtefactPredictor:
    """Load an exported network.

    Args:
        path: Folder that ``leyden export`` wrote.
        threads: Threads of one call; ``None`` for one per core.

    Raises:
        UserError: If the folder is not an exported network, or is damaged.
    """
    return ArtefactPredictor(read_artefact(path), open_graph(path, threads=threads))


def open_graph(folder: Path, *, threads: int | None = None) -> Network:
    """Open the graph of an exported network; torch is imported for one in its own format.

    Args:
        folder: Folder of the exported network.
        threads: Threads of one call; ``None`` for one per core. torch has its own setting.

    Raises:
        UserError: If there is no graph or it cannot be read, or if a package is missing.
    """
    if (folder / WEIGHTS).is_file():
        raise UserError(
            f"{folder} holds weights alone, without a graph to predict with. Export the run with "
            "format=onnx, or predict with the run itself."
        )
    if (folder / GRAPHS["pt2"]).is_file():
        from leyden.serving.program import Program  # imports torch

        return Program(folder / GRAPHS["pt2"])
    return Session(folder / GRAPHS["onnx"], threads=threads)
