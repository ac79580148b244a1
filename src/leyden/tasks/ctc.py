"""Sequences without alignment, such as speech: connectionist temporal classification."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.text import CharErrorRate, WordErrorRate

from leyden.batch import Batch, DataSpec
from leyden.errors import UserError
from leyden.losses.reduction import Loss, check_loss, denominator
from leyden.tasks.base import MEASURED, BatchLoss, Stage, Task
from leyden.tasks.ctc_decoding import BLANK, beam_search, greedy


class CTC(Task):
    """Learns which sequence is said, not when (Graves et al. 2006, "Connectionist temporal …").

    The network gives logits ``(batch, steps, tokens)``, of which token 0 is the blank, and says
    blank behind the end of a row. Metrics: ``cer`` and ``wer``, the edits that lead from what was
    understood to the transcripts, as a share of the characters and of the words in these.

    Args:
        spec: sizes and tokens of the data.
        loss: of log probabilities ``(steps, batch, tokens)``, token numbers ``(batch, longest)``,
            and the lengths ``(batch,)`` of both, as ``torch.nn.CTCLoss``.
        beam_width: sequences that decoding keeps in mind; 1 takes the likeliest token of each
            step.
        options: those of every task.

    Raises:
        UserError: The targets of the data are not sequences, or the loss is one of other targets.
    """

    def __init__(self, *, spec: DataSpec, loss: Loss, beam_width: int = 1, **options: Any) -> None:
        if not spec.tokens:
            raise UserError(
                "task=ctc learns transcripts, which these data do not have. Choose data with "
                "transcripts, such as data=speech_text, or task=classification."
            )
        if beam_width < 1:
            raise ValueError(f"beam_width must be at least 1, got {beam_width}")
        _check_loss(loss, len(spec.tokens))
        # Grouping would take metrics for one whose first values are equal by chance.
        metrics = MetricCollection(
            {"cer": CharErrorRate(), "wer": WordErrorRate()}, compute_groups=False
        )
        super().__init__(spec=spec, metrics=metrics, **options)
        self.loss = loss
        self.beam_width = beam_width

    def step(self, batch: Batch, stage: Stage) -> BatchLoss:
        """Compute the loss per token of the transcripts, and measure what was understood."""
        assert batch.targets is not None
        logits = self(batch.inputs)
        if stage in MEASURED:
            said = [self._text(row) for row in batch.targets.tolist()]
            self.update_metrics(stage, self._transcripts(logits), said)
        rows, steps, _ = logits.shape
        loss = self.loss(
            logits.float().log_softmax(dim=2).transpose(0, 1),
            batch.targets,
            torch.full((rows,), steps, device=logits.device),
            (batch.targets != BLANK).sum(dim=1),
        )
        return BatchLoss(loss, denominator(self.loss, batch.targets, rows=rows))

    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Give what was understood."""
        return {"transcript": self._transcripts(logits)}

    def _transcripts(self, logits: Tensor) -> list[str]:
        rows = logits.detach().float().log_softmax(dim=2).cpu().numpy()
        if self.beam_width == 1:
            return [self._text(greedy(row)) for row in rows]
        return [self._text(beam_search(row, width=self.beam_width)) for row in rows]

    def _text(self, numbers: list[int] | tuple[int, ...]) -> str:
        return "".join(self.spec.tokens[number] for number in numbers)


def _check_loss(loss: Loss, num_tokens: int) -> None:
    """Refuse losses of a prediction and its target alone, and those of another blank."""
    said, other = torch.tensor([[1, 2]]), torch.tensor([[2, 1]])
    path = torch.tensor([[1], [BLANK], [2]])
    logits = 30 * nn.functional.one_hot(path, max(num_tokens, 3)).float()
    log_probabilities = logits.log_softmax(dim=2)
    lengths = torch.tensor([3]), torch.tensor([2])
    check_loss(
        loss,
        right=(log_probabilities, said, *lengths),
        wrong=(log_probabilities, other, *lengths),
        needed="task=ctc needs one of all alignments, such as loss=ctc",
    )
