"""The text kind: a vocabulary fitted on the training part, and texts to predict on."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leyden.batch import Batch
from leyden.data import cache
from leyden.data.base import DataModule
from leyden.data.cleaning import Cleaning
from leyden.data.rows import Part, Ragged, RejectedItem, Rows, UnreadableError
from leyden.data.text.cleaning import TextCleaning
from leyden.data.text.files import check_encoding, decode, read_file, text_files
from leyden.data.text.shingles import signatures
from leyden.data.text.tokens import TokenBatches, padded, strings, token_rows
from leyden.data.text.vocabulary import SMALLEST, encode, load_vocabulary, train_vocabulary
from leyden.errors import UserError

TEXTS_PER_CHUNK = 256


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text of a data set, before it is cleaned.

    Attributes:
        content: its characters, or bytes in the encoding of the data set.
        source: its name for people.
        target: its class, by name or index; none where it is to be predicted.
        part: that the source puts it in.
        group: what must not be torn apart by a split, such as the author; all texts or none.
    """

    content: bytes | str
    source: str
    target: str | int = ""
    part: Part = "all"
    group: str | None = None


class TextData(DataModule):
    """Texts of any length; a subclass lists its texts and hands them to ``read_texts``.

    Args:
        vocab_size: number of tokens that the vocabulary may have.
        max_tokens: tokens at the beginning of a text that are used.
        lowercase: make no difference between ``A`` and ``a``.
        encoding: of bytes without a byte order mark.
        cleaning: the cleaning steps that run.
        options: those of every data module.
    """

    raw_field = network_field = "tokens"

    def __init__(
        self,
        *,
        vocab_size: int = 8000,
        max_tokens: int = 256,
        lowercase: bool = True,
        encoding: str = "utf-8",
        cleaning: Cleaning | None = None,
        **options: Any,
    ) -> None:
        super().__init__(cleaning=cleaning or TextCleaning(), **options)
        if vocab_size < SMALLEST:
            raise ValueError(f"vocab_size must be at least {SMALLEST}, got {vocab_size}")
        if max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {max_tokens}")
        check_encoding(encoding)
        self.vocab_size = vocab_size
        self.max_tokens = max_tokens
        self.lowercase = lowercase
        self.encoding = encoding
        self._token_rows: Ragged | None = None

    def fit(self, arrays: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
        """Train the vocabulary, unless one of these texts and settings is cached."""
        texts = arrays["texts"]
        content = hashlib.blake2b(digest_size=16)
        for row in rows.tolist():
            content.update(len(texts[row]).to_bytes(8, "little") + texts[row].tobytes())
        settings = {"size": self.vocab_size, "lowercase": self.lowercase}
        folder = self._folder("vocabulary", settings | {"texts": content.hexdigest()})

        def write(folder: Path) -> None:
            vocabulary = train_vocabulary(strings(texts, rows), **settings)
            (folder / "vocabulary.json").write_text(vocabulary, encoding="utf-8")

        cache.write_once(folder, write)
        return {"vocabulary": (folder / "vocabulary.json").read_text(encoding="utf-8")}

    def normalisation(self) -> nn.Module:
        """Leave token ids as they are."""
        return nn.Identity()

    def network_sizes(self) -> dict[str, Any]:
        """Size networks by the vocabulary, the longest text and the number of classes."""
        return {
            "vocab_size": load_vocabulary(self.statistics["vocabulary"]).get_vocab_size(),
            "max_tokens": self.max_tokens,
            "num_outputs": len(self.class_names or ()),
        }

    def dataset(self, cached: cache.Cache) -> TokenBatches:
        """Make what fetches batches of token ids."""
        return TokenBatches(self._tokens(cached), cached.targets)

    def row_sizes(self, rows: NDArray[np.int64]) -> Tensor:
        """Give the number of tokens of each row."""
        return torch.from_numpy(np.diff(self._tokens(self.cached).offsets)[rows])

    def read_inputs(self, paths: Sequence[str]) -> tuple[list[str], Tensor]:
        """Read texts to predict on, as ``(rows, longest)`` token ids."""
        texts = [text for path in paths for text in self.input_texts(_existing(Path(path)))]
        cleaned = [self._input(text) for text in texts]
        tokenizer = load_vocabulary(self.statistics["vocabulary"])
        ids = encode(tokenizer, cleaned, max_tokens=self.max_tokens)
        rows = Ragged.of(ids, dtype=np.dtype(np.int32))
        return [text.source for text in texts], padded(rows, np.arange(len(ids)))

    def input_texts(self, path: Path) -> Iterator[Text]:
        """Read the texts of a file or folder that is given to predict on; a text a file."""
        files = text_files(path) if path.is_dir() else [path]
        if not files:
            raise UserError(f"No file found below {path}. Expected texts, one a file.")
        for file in files:
            try:
                yield Text(content=read_file(file), source=str(file))
            except UnreadableError as error:
                raise UserError(
                    f"{file} can't be read as text: {error}. Mend the file or leave it out of "
                    "input=."
                ) from error

    def read_texts(self, items: Iterable[Text | RejectedItem]) -> Iterator[Rows]:
        """Clean texts chunk by chunk, and run the steps that judge them one by one.

        Args:
            items: the texts, part by part, and items that did not become one.

        Raises:
            UserError: no text of some class is left.
        """
        classes: set[str | int] = set()
        left: set[str | int] = set()
        part: Part = "all"
        stream = iter(items)
        while chunk := list(islice(stream, TEXTS_PER_CHUNK)):
            classes.update(item.target for item in chunk if isinstance(item, Text))
            for part, members in groupby(chunk, key=lambda i: getattr(i, "part", part)):  # noqa: B023
                rows = self._cleaned(part, list(members))
                left.update(rows.targets.tolist())
                yield rows
        lost = sorted(map(str, classes - left))
        if lost and left:
            raise UserError(
                f"Not one text of {', '.join(lost)} passes the cleaning of {self.name}. Mend the "
                "texts, remove the class, or switch steps off in data.cleaning."
            )

    def _cleaned(self, part: Part, items: Sequence[Text | RejectedItem]) -> Rows:
        kept: list[Text] = []
        texts: list[str] = []
        rejected: list[RejectedItem] = []
        changed: Counter[str] = Counter()
        for item in items:
            if isinstance(item, RejectedItem):
                rejected.append(item)
                continue
            text, steps, faults = self._judged(item.content)
            # Figures of a published test part must remain comparable.
            drop = part != "test"
            rejected += [
                RejectedItem(source=item.source, reason=reason, step=step, dropped=drop)
                for step, reason in faults
            ]
            if faults and drop:
                continue
            changed.update(steps)
            kept.append(item)
            texts.append(text)
        groups = [item.group for item in kept if item.group is not None]
        content = (np.frombuffer(text.encode(), dtype=np.uint8) for text in texts)
        return Rows(
            arrays={"texts": Ragged.of(content, dtype=np.dtype(np.uint8))},
            targets=np.array([item.target for item in kept]),
            part=part,
            sources=[item.source for item in kept],
            rejected=rejected,
            groups=np.array(groups, dtype=str) if groups else None,
            changed=changed,
            signatures=signatures(texts) if self._steps.near_duplicates else None,
        )

    def _judged(self, content: bytes | str) -> tuple[str, list[str], list[tuple[str, str]]]:
        """Decode and mend a text; name the steps that changed it, and at most one fault."""
        text, fault = decode(content, self.encoding)
        text, changed = self._steps.mended(text)
        if fault and self._steps.encoding:
            return text, changed, [("encoding", f"{fault}; data.encoding names another encoding")]
        if not text.strip() and self._steps.empty:
            return text, changed, [("empty", "holds no text")]
        return text, changed, []

    def _input(self, text: Text) -> str:
        cleaned, _, faults = self._judged(text.content)
        if faults:
            raise UserError(
                f"{text.source} can't be predicted: {faults[0][1]}. Mend it or leave it out of "
                "input=."
            )
        return cleaned

    @property
    def _steps(self) -> TextCleaning:
        assert isinstance(self.cleaning, TextCleaning)
        return self.cleaning

    def _tokens(self, cached: cache.Cache) -> Ragged:
        if self._token_rows is None:
            vocabulary = self.statistics["vocabulary"]
            settings = {
                "texts": cached.fingerprint,
                "vocabulary": vocabulary,
                "max_tokens": self.max_tokens,
            }
            self._token_rows = token_rows(
                self._folder("tokens", settings),
                cached.arrays["texts"],
                vocabulary=vocabulary,
                max_tokens=self.max_tokens,
            )
        return self._token_rows

    def _folder(self, kind: str, settings: dict[str, Any]) -> Path:
        return self.cache_dir / str(self.name) / f"{kind}-{cache.fingerprint(settings)}"


def _existing(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"The input {path} does not exist. Give files or folders: input=PATH.")
    return path
