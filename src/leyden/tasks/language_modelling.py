"""Causal language modelling: prediction of the next token of a text."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.text import Perplexity

from leyden.batch import Batch, DataSpec
from leyden.errors import UserError
from leyden.losses.reduction import Loss, check_loss, denominator
from leyden.tasks.averaging import Averaging
from leyden.tasks.base import BatchLoss, Stage, Task
from leyden.tasks.readings import ContinuationReading

START = 0
"""Token id that precedes the first token of a text: that of padding, which no text contains."""

IGNORED = -100
"""Target of padding, ignored by losses and metrics."""


class LanguageModelling(Task):
    """Causal language modelling; a prediction is the continuation of a prompt.

    Metric: ``perplexity``, the exponential of the mean cross-entropy per token, without label
    smoothing.

    Args:
        spec: Sizes of the data, of which ``vocab_size`` is used.
        loss: Loss of logits ``(tokens, vocab_size)`` and token ids ``(tokens,)`` that ignores
            targets of -100.
        new_tokens: Number of tokens that continue a prompt.
        temperature: Divisor of the logits before sampling; 0 decodes greedily.
        top_k: Number of the most probable tokens to sample from (Fan et al. 2018,
            arXiv:1805.04833).
        sampling_seed: Seed of the sampling, the same for each prompt.
        options: Arguments of every ``Task``.

    Raises:
        UserError: If the loss does not support token ids, or does not ignore -100.
        ValueError: If ``new_tokens``, ``temperature`` or ``top_k`` is out of its range.
    """

    target_kind = "none"
    predicts_targets: ClassVar[bool] = False

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
                "new_tokens and top_k must be at least 1 and temperature at least 0, got "
                f"{new_tokens}, {top_k} and {temperature}."
            )
        _check_loss(loss, spec.network_sizes["vocab_size"])
        metrics = MetricCollection({"perplexity": Perplexity(ignore_index=IGNORED)})
        super().__init__(spec=spec, metrics=metrics, **options)
        self.loss = loss
        self.new_tokens = new_tokens
        self.temperature = temperature
        self.top_k = top_k
        self.sampling_seed = sampling_seed

    def step(self, batch: Batch, stage: Stage) -> BatchLoss:
        """Compute the loss of predicting each token from those before it.

        Args:
            batch: Inputs are ``tokens``, int64, and ``mask``, bool, ``(batch, length)`` each; they
                are the targets too. The logits are ``(batch, length, vocab_size)``.
            stage: Stage whose metrics are updated.
        """
        tokens, mask = batch.inputs["tokens"], batch.inputs["mask"]
        logits = self({"tokens": nn.functional.pad(tokens[:, :-1], (1, 0), value=START)})
        targets = tokens.masked_fill(~mask, IGNORED)
        self.update_metrics(stage, logits.detach().float(), targets)
        targets = targets.flatten()
        weight = denominator(self.loss, targets, rows=mask.sum())
        return BatchLoss(self.loss(logits.flatten(0, 1), targets), weight)

    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Return the most probable next token after each token.

        Args:
            logits: ``(batch, length, vocab_size)``, floating.
        """
        return {"text": logits.argmax(dim=2).tolist()}

    def predict(self, inputs: Mapping[str, Tensor]) -> Mapping[str, list[Any]]:
        """Continue each prompt by ``new_tokens`` tokens.

        Args:
            inputs: ``tokens``, int64, and ``mask``, bool, ``(batch, length)`` each.

        Returns:
            ``text``: token ids of the prompt and its continuation, for each row.
        """
        rows = zip(inputs["tokens"], inputs["mask"], strict=True)
        return {"text": [self._continue(tokens[mask]).tolist() for tokens, mask in rows]}

    def answers(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute the probabilities of the token after each text, ``(batch, vocab_size)``."""
        tokens, mask = inputs["tokens"], inputs["mask"]
        logits = self({"tokens": nn.functional.pad(tokens, (1, 0), value=START)})
        ends = mask.sum(dim=1)[:, None, None].expand(-1, 1, logits.shape[2])
        return {"probabilities": logits.gather(1, ends).squeeze(1).float().softmax(dim=1)}

    @property
    def reading(self) -> ContinuationReading:
        """The continuation of each text."""
        return ContinuationReading(
            vocab_size=self.spec.network_sizes["vocab_size"],
            new_tokens=self.new_tokens,
            temperature=self.temperature,
            top_k=self.top_k,
            sampling_seed=self.sampling_seed,
        )

    def averaging(self, specs: Sequence[DataSpec]) -> Averaging:
        """Refuse to average: every network has a vocabulary of its own.

        Raises:
            UserError: Always, because each network has a vocabulary of its own.
        """
        raise UserError(
            f"{len(specs)} language models cannot be averaged, because the vocabulary of each was "
            "fitted on the texts that it learned from."
        )

    def _continue(self, prompt: Tensor) -> Tensor:
        generator = torch.Generator(prompt.device).manual_seed(self.sampling_seed)
        tokens = nn.functional.pad(prompt, (1, 0), value=START)
        for _ in range(self.new_tokens):
            logits = self({"tokens": tokens.unsqueeze(0)})[0, -1].float()
            tokens = torch.cat([tokens, self._sample(logits, generator)])
        return tokens[1:]

    def _sample(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """Sample a token id ``(1,)`` from logits ``(vocab_size,)``."""
        if self.temperature == 0:
            return logits.argmax(keepdim=True)
        highest, ids = logits.topk(min(self.top_k, len(logits)))
        probabilities = (highest / self.temperature).softmax(dim=0)
        return ids[probabilities.multinomial(1, generator=generator)]


def _check_loss(loss: Loss, vocab_size: int) -> None:
    """Raise if a loss does not support token ids, or does not ignore padding."""
    logits = 30 * torch.eye(3, vocab_size)
    check_loss(
        loss,
        right=(logits, torch.tensor([0, 1, IGNORED])),
        wrong=(logits, torch.tensor([1, 0, IGNORED])),
        needed=f"task=language_modelling needs a loss of token ids that ignores {IGNORED}, such as "
        "loss=cross_entropy",
    )
