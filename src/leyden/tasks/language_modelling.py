"""Language modelling: what comes next in a text."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.text import Perplexity

from leyden.batch import Batch, DataSpec
from leyden.losses.reduction import Loss, check_loss, denominator
from leyden.tasks.base import BatchLoss, Stage, Task

START = 0
"""Stands before every text: the id of padding, which no text holds."""

NOTHING = -100
"""Stands where there is nothing to predict; losses and metrics pass it over."""


class LanguageModelling(Task):
    """Learns each token of a text from those before it, and goes on writing texts.

    Metric: ``perplexity``, the exponential of the mean loss per token, without smoothing.

    Args:
        spec: sizes of the data.
        loss: of logits ``(tokens, vocab_size)`` and ids ``(tokens,)``; passes over ``-100``.
        new_tokens: how many to write behind a prompt.
        temperature: divides the logits that tokens are drawn by; 0 takes the likeliest one.
        top_k: only so many of the likeliest tokens are drawn (Fan et al. 2018, arXiv:1805.04833).
        sampling_seed: of the drawing; the same prompt is continued alike.
        options: those of every task.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        loss: Loss,
        new_tokens: int = 100,
        temperature: float = 0.8,
        top_k: int = 50,
        sampling_seed: int = 0,
        **options: Any,
    ) -> None:
        if new_tokens < 1 or top_k < 1 or temperature < 0:
            raise ValueError(
                "expected new_tokens and top_k of at least 1 and a temperature of at least 0, got "
                f"{new_tokens}, {top_k} and {temperature}"
            )
        _check_loss(loss, spec.network_sizes["vocab_size"])
        metrics = MetricCollection({"perplexity": Perplexity(ignore_index=NOTHING)})
        super().__init__(spec=spec, metrics=metrics, **options)
        self.loss = loss
        self.new_tokens = new_tokens
        self.temperature = temperature
        self.top_k = top_k
        self.sampling_seed = sampling_seed

    def step(self, batch: Batch, stage: Stage) -> BatchLoss:
        """Compute the loss of all tokens ``(batch, length)`` at once."""
        tokens, mask = batch.inputs["tokens"], batch.inputs["mask"]
        logits = self({"tokens": nn.functional.pad(tokens[:, :-1], (1, 0), value=START)})
        targets = tokens.masked_fill(~mask, NOTHING)
        self.update_metrics(stage, logits.detach().float(), targets)
        targets = targets.flatten()
        weight = denominator(self.loss, targets, rows=mask.sum())
        return BatchLoss(self.loss(logits.flatten(0, 1), targets), weight)

    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Give the likeliest next tokens for logits ``(batch, length, vocab_size)``."""
        return {"text": logits.argmax(dim=2).tolist()}

    def predict(self, inputs: Mapping[str, Tensor]) -> Mapping[str, list[Any]]:
        """Go on writing each of the prompts, ``tokens`` and ``mask`` ``(batch, length)``."""
        rows = zip(inputs["tokens"], inputs["mask"], strict=True)
        return {"text": [self._continued(tokens[mask]).tolist() for tokens, mask in rows]}

    def _continued(self, prompt: Tensor) -> Tensor:
        generator = torch.Generator(prompt.device).manual_seed(self.sampling_seed)
        tokens = nn.functional.pad(prompt, (1, 0), value=START)
        for _ in range(self.new_tokens):
            logits = self({"tokens": tokens.unsqueeze(0)})[0, -1].float()
            tokens = torch.cat([tokens, self._drawn(logits, generator)])
        return tokens[1:]

    def _drawn(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a token ``(1,)`` by logits ``(vocab_size,)``."""
        if self.temperature == 0:
            return logits.argmax(keepdim=True)
        likeliest, ids = logits.topk(min(self.top_k, len(logits)))
        probabilities = (likeliest / self.temperature).softmax(dim=0)
        return ids[probabilities.multinomial(1, generator=generator)]


def _check_loss(loss: Loss, vocab_size: int) -> None:
    """Refuse losses of other targets than token ids, and those that do not ignore padding."""
    logits = 30 * torch.eye(3, vocab_size)
    check_loss(
        loss,
        right=(logits, torch.tensor([0, 1, NOTHING])),
        wrong=(logits, torch.tensor([1, 0, NOTHING])),
        needed=f"task=language_modelling needs one of token ids that ignores {NOTHING}, such as "
        "loss=cross_entropy",
    )
