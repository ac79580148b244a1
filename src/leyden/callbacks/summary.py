"""Table of the network's layers, logged at the start of training."""

import logging
from typing import Any

from lightning.pytorch.callbacks import ModelSummary
from lightning.pytorch.utilities.model_summary.model_summary import _format_summary_table

log = logging.getLogger(__name__)


class LayerSummary(ModelSummary):
    """Logs the layers with their sizes; FLOPs, unknown without an example input, are left out."""

    @staticmethod
    def summarize(summary_data: list[tuple[str, list[str]]], *totals: Any, **options: Any) -> None:
        """Log a table of columns ``(heading, cells)`` and the totals."""
        shown = [column for column in summary_data if column[0] != "FLOPs"]
        table = _format_summary_table(*totals, options["total_flops"], *shown)
        log.info("\n%s", table.rpartition("\n")[0])  # the last line is the sum of FLOPs
