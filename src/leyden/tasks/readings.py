"""Readings: what the answers of a network mean, as columns of plain values, without torch."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from leyden.arrays import Arrays
from leyden.schema import PROBABILITY, SEPARATOR, Field
from leyden.tasks.continuation import Continuation
from leyden.tasks.ctc_decoding import beam_search, greedy

SIGNIFICANT = 7
"""Significant digits of a number, relative to the standard deviation of the targets."""


@dataclass(frozen=True, kw_only=True)
class Reading(ABC):
    """Reads the answers of a network; it can be written as JSON.

    Attributes:
        names: Names of the classes or labels by index; empty for other targets.
    """

    kind: ClassVar[str]
    """Name of the reading in an exported network."""

    names: tuple[str, ...] = ()

    @property
    @abstractmethod
    def answers(self) -> tuple[Field, ...]:
        """Description of the answers, each ``(batch, ...)``."""

    @abstractmethod
    def columns(self, answers: Arrays, *, top: int = 0) -> dict[str, list[Any]]:
        """Convert answers to named columns of ``batch`` plain values each.

        Args:
            answers: Arrays ``(batch, ...)`` by name.
            top: Number of the most probable classes to list in the column ``top``; 0 for no such
                column. Other tasks than classification ignore it.
        """

    def predict(
        self, network: Callable[[Arrays], Arrays], values: Arrays, *, top: int = 0
    ) -> dict[str, list[Any]]:
        """Predict a batch; a reading that calls the network several times overrides this.

        Args:
            network: Computes the answers for values.
            values: Arrays ``(batch, ...)`` by name.
            top: As for ``columns``.
        """
        return self.columns(network(values), top=top)

    def deviation(self, answers: Arrays, expected: Arrays) -> float:
        """Return the largest difference of two answers, in probability."""
        return max(
            float(np.abs(answers[name] - expected[name]).max(initial=0.0)) for name in expected
        )

    def to_json(self) -> dict[str, Any]:
        """Return the settings as values that JSON can hold."""
        return {"kind": self.kind, **vars(self)}

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Self:
        """Build the reading from the result of ``to_json``."""
        own = {name: value for name, value in settings.items() if name != "kind"}
        return cls(**own | {"names": tuple(own["names"])})


@dataclass(frozen=True, kw_only=True)
class ClassReading(Reading):
    """One class per row.

    Attributes:
        threshold: Probability from which the second of two classes is predicted; ``None`` for the
            more probable class.
    """

    kind: ClassVar = "classification"

    threshold: float | None = None

    @property
    def answers(self) -> tuple[Field, ...]:
        """The probability of each class."""
        return (_probabilities("class", len(self.names)),)

    def columns(self, answers: Arrays, *, top: int = 0) -> dict[str, list[Any]]:
        """Return the predicted class, its probability, and the most probable classes.

        Args:
            answers: ``probabilities`` of the classes, ``(batch, classes)`` float32.
            top: Number of classes in the column ``top``, most probable first.

        Example:
            >>> reading = ClassReading(names=("cat", "dog"), threshold=0.2)
            >>> answers = {"probabilities": np.array([[0.75, 0.25]])}
            >>> reading.columns(answers)
            {'class': ['dog'], 'probability': [0.25]}
            >>> reading.columns(answers, top=1)["top"]
            [[{'class': 'cat', 'probability': 0.75}]]
        """
        probabilities = answers["probabilities"]
        if self.threshold is None:
            chosen = probabilities.argmax(axis=1)
        else:
            chosen = (probabilities[:, 1] >= self.threshold).astype(np.int64)
        columns: dict[str, list[Any]] = {
            "class": [self.names[index] for index in chosen.tolist()],
            "probability": probabilities[np.arange(len(chosen)), chosen].tolist(),
        }
        return columns | {"top": self._top(probabilities, top)} if top else columns

    def _top(self, probabilities: NDArray[np.float32], top: int) -> list[list[dict[str, Any]]]:
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        highest = np.take_along_axis(probabilities, order, axis=1)
        return [
            [
                {"class": self.names[index], "probability": probability}
                for index, probability in zip(*row, strict=True)
            ]
            for row in zip(order.tolist(), highest.tolist(), strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class LabelReading(Reading):
    """Any number of labels per row.

    Attributes:
        threshold: Probability from which a label is predicted.
    """

    kind: ClassVar = "multilabel"

    threshold: float = 0.5

    @property
    def answers(self) -> tuple[Field, ...]:
        """The probability of each label."""
        return (_probabilities("label", len(self.names)),)

    def columns(self, answers: Arrays, *, top: int = 0) -> dict[str, list[Any]]:  # noqa: ARG002
        """Return the labels of each row, and the probability of every label.

        Args:
            answers: ``probabilities`` of the labels, ``(batch, labels)`` float32.
            top: Ignored.
        """
        probabilities = answers["probabilities"]
        labels = [
            SEPARATOR.join(name for name, has in zip(self.names, row, strict=True) if has)
            for row in (probabilities >= self.threshold).tolist()
        ]
        each = zip(self.names, probabilities.T.tolist(), strict=True)
        return {"labels": labels} | {PROBABILITY + name: column for name, column in each}


@dataclass(frozen=True, kw_only=True)
class NumberReading(Reading):
    """One number per row.

    Attributes:
        std: Standard deviation of the training targets, in their unit.
    """

    kind: ClassVar = "regression"

    std: float

    @property
    def answers(self) -> tuple[Field, ...]:
        """The number."""
        return (
            Field(
                name="value",
                dtype="float64",
                shape=("batch",),
                meaning="predicted number, in the unit of the target",
            ),
        )

    def columns(self, answers: Arrays, *, top: int = 0) -> dict[str, list[Any]]:  # noqa: ARG002
        """Return the numbers, rounded to the precision of float32.

        Args:
            answers: ``value``, ``(batch,)`` float64.
            top: Ignored.
        """
        decimals = SIGNIFICANT - 1 - math.floor(math.log10(self.std))
        return {"value": [round(value, decimals) for value in answers["value"].tolist()]}

    def deviation(self, answers: Arrays, expected: Arrays) -> float:
        """Return the largest difference, in standard deviations of the targets."""
        return super().deviation(answers, expected) / self.std


@dataclass(frozen=True, kw_only=True)
class TranscriptReading(Reading):
    """One transcript per row, decoded from the tokens in each step.

    Attributes:
        tokens: Tokens by id; 0 is the blank.
        beam_width: Number of prefixes that beam search keeps; 1 decodes greedily.
    """

    kind: ClassVar = "ctc"

    tokens: Sequence[str]
    beam_width: int = 1

    @property
    def answers(self) -> tuple[Field, ...]:
        """The logarithm of the probability of each token in each step."""
        return (
            Field(
                name="log_probabilities",
                dtype="float32",
                shape=("batch", "steps", len(self.tokens)),
                meaning="natural logarithm of the probability of each token in each step; token 0 "
                "separates repeated tokens",
            ),
        )

    def columns(self, answers: Arrays, *, top: int = 0) -> dict[str, list[Any]]:  # noqa: ARG002
        """Return the decoded transcripts.

        Args:
            answers: ``log_probabilities``, ``(batch, steps, tokens)`` float32.
            top: Ignored.
        """
        decode = greedy if self.beam_width == 1 else partial(beam_search, width=self.beam_width)
        rows = (decode(row) for row in answers["log_probabilities"])
        return {"transcript": ["".join(self.tokens[token] for token in row) for row in rows]}

    def deviation(self, answers: Arrays, expected: Arrays) -> float:
        """Return the largest difference of two answers, in probability."""
        return super().deviation(_exponentials(answers), _exponentials(expected))


@dataclass(frozen=True, kw_only=True)
class ContinuationReading(Reading):
    """One continuation per text, of which the network predicts token by token.

    Attributes:
        vocab_size: Number of tokens in the vocabulary.
        new_tokens: Number of tokens that continue a text.
        temperature: Divisor of the logarithms of the probabilities before sampling; 0 takes the
            most probable token.
        top_k: Number of the most probable tokens to sample from.
        sampling_seed: Seed of the sampling, the same for each text.
    """

    kind: ClassVar = "language_modelling"

    vocab_size: int
    new_tokens: int
    temperature: float
    top_k: int
    sampling_seed: int

    @property
    def answers(self) -> tuple[Field, ...]:
        """The probability of each token after the text."""
        return (_probabilities("token after the text", self.vocab_size),)

    def columns(self, answers: Arrays, *, top: int = 0) -> dict[str, list[Any]]:  # noqa: ARG002
        """Return the id of the most probable next token as the column ``text``."""
        return {"text": answers["probabilities"].argmax(axis=1)[:, np.newaxis].tolist()}

    def predict(
        self,
        network: Callable[[Arrays], Arrays],
        values: Arrays,
        *,
        top: int = 0,  # noqa: ARG002
    ) -> dict[str, list[Any]]:
        """Continue each text by ``new_tokens`` tokens.

        Samples differ from those of a run, because torch has another random generator.

        Args:
            network: Computes the ``probabilities`` of the next tokens.
            values: ``tokens``, ``(batch, length)`` int64, with 0 after each text.
            top: Ignored.

        Returns:
            ``text``: token ids of each text and its continuation.
        """
        texts = self.begin(values)
        for _ in range(self.new_tokens):
            texts.extend(network(texts.values))
        return {"text": texts.ids}

    def begin(self, values: Arrays) -> Continuation:
        """Return the texts ``tokens``, ``(batch, length)`` int64, before their continuation."""
        return Continuation(
            values["tokens"],
            temperature=self.temperature,
            top_k=self.top_k,
            seed=self.sampling_seed,
        )


def _exponentials(arrays: Arrays) -> Arrays:
    return {name: np.exp(array) for name, array in arrays.items()}


def _probabilities(noun: str, count: int) -> Field:
    return Field(
        name="probabilities",
        dtype="float32",
        shape=("batch", count),
        meaning=f"probability of each {noun}",
    )


READINGS: dict[str, type[Reading]] = {
    each.kind: each
    for each in (
        ClassReading,
        ContinuationReading,
        LabelReading,
        NumberReading,
        TranscriptReading,
    )
}
"""Readings by the name that an exported network records."""
