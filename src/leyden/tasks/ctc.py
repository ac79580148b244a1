"""Connectionist temporal classification (CTC): transcription without alignments."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.text import CharErrorRate, WordErrorRate

from leyden.batch import Batch, DataSpec
from leyden.errors import UserError
from leyden.losses.reduction import Loss, check_loss, denominator
from leyden.tasks.averaging import Averaging, average_classes
from leyden.tasks.base import MEASURED, BatchLoss, Stage, Task
from leyden.tasks.ctc_decoding import BLANK
from leyden.tasks.readings import TranscriptReading


class CTC(Task):
    """Transcription by connectionist temporal classification.

    Graves et al. 2006, "Connectionist Temporal Classification: Labelling Unsegmented Sequence Data
    with Recurrent Neural Networks". The network returns logits ``(batch, steps, tokens)``, in
    which token 0 is the blank; it predicts blanks after the end of a row. Metrics: ``cer`` and
    ``wer``, the character and the word error rate.

    Args:
        spec: Sizes and tokens of the data.
        loss: Loss of log probabilities ``(steps, batch, tokens)``, token ids ``(batch, longest)``,
            and the lengths ``(batch,)`` of both, such as ``torch.nn.CTCLoss``.
        beam_width: Number of prefixes that beam search keeps; 1 decodes greedily.
        options: Arguments of every ``Task``.

    Raises:
        UserError: If the data have no transcripts, or if the loss is not a CTC loss.
        ValueError: If ``beam_width`` is below 1.
    """

    target_kind = "transcript"

    def __init__(self, *, spec: DataSpec, loss: Loss, beam_width: int = 1, **options: Any) -> None:
        if not spec.tokens:
            raise UserError(
                "task=ctc learns transcripts, but the data have none. Choose data with "
                "transcripts, such as data=speech_text, or task=classification."
            )
        if beam_width < 1:
            raise ValueError(f"beam_width must be at least 1, got {beam_width}.")
        _check_loss(loss, len(spec.tokens))
        # Compute groups would merge metrics whose first states are equal by chance.
        metrics = MetricCollection(
            {"cer": CharErrorRate(), "wer": WordErrorRate()}, compute_groups=False
        )
        super().__init__(spec=spec, metrics=metrics, **options)
        self.loss = loss
        self.beam_width = beam_width

    def step(self, batch: Batch, stage: Stage) -> BatchLoss:
        """Compute the loss of a batch, and the error rates of its decoded transcripts.

        Args:
            batch: Targets are token ids, ``(batch, longest)`` int64, padded with 0. The logits are
                ``(batch, steps, tokens)``.
            stage: Stage whose metrics are updated.
        """
        assert batch.targets is not None
        logits = self(batch.inputs)
        if stage in MEASURED:
            references = [self._text(row) for row in batch.targets.tolist()]
            self.update_metrics(stage, self._transcripts(logits), references)
        rows, steps, _ = logits.shape
        loss = self.loss(
            logits.float().log_softmax(dim=2).transpose(0, 1),
            batch.targets,
            torch.full((rows,), steps, device=logits.device),
            (batch.targets != BLANK).sum(dim=1),
        )
        return BatchLoss(loss, denominator(self.loss, batch.targets, rows=rows))

    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Return the decoded transcript of each row.

        Args:
            logits: ``(batch, steps, tokens)``, floating.
        """
        return {"transcript": self._transcripts(logits)}

    def answers(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute the log probabilities of the tokens in each step, ``(batch, steps, tokens)``."""
        return {"log_probabilities": self(inputs).float().log_softmax(dim=2)}

    @property
    def reading(self) -> TranscriptReading:
        """The transcript of each row."""
        return TranscriptReading(tokens=self.spec.tokens, beam_width=self.beam_width)

    def averaging(self, specs: Sequence[DataSpec]) -> Averaging:
        """Average the probabilities of the tokens in each frame.

        Raises:
            UserError: If the networks do not all have the same tokens.
        """
        if any(spec.tokens != self.spec.tokens for spec in specs):
            raise UserError(
                "The networks have different tokens, because a character is in the transcripts of "
                "some training splits only, so their outputs cannot be averaged. Expected more "
                "transcripts of every character."
            )
        return average_classes

    def _transcripts(self, logits: Tensor) -> list[str]:
        log_probabilities = logits.detach().float().log_softmax(dim=2).cpu().numpy()
        return self.reading.columns({"log_probabilities": log_probabilities})["transcript"]

    def _text(self, ids: list[int] | tuple[int, ...]) -> str:
        return "".join(self.spec.tokens[token] for token in ids)


def _check_loss(loss: Loss, num_tokens: int) -> None:
    """Raise if a loss does not sum over alignments, or has a blank other than ``BLANK``."""
    target, other = torch.tensor([[1, 2]]), torch.tensor([[2, 1]])
    path = torch.tensor([[1], [BLANK], [2]])
    logits = 30 * nn.functional.one_hot(path, max(num_tokens, 3)).float()
    log_probabilities = logits.log_softmax(dim=2)
    lengths = torch.tensor([3]), torch.tensor([2])
    check_loss(
        loss,
        right=(log_probabilities, target, *lengths),
        wrong=(log_probabilities, other, *lengths),
        needed="task=ctc needs a loss that sums over alignments, such as loss=ctc",
    )
