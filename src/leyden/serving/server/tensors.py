"""Tensors of the Open Inference Protocol: as JSON, or as binary data after it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from leyden.data.json_values import json_type
from leyden.schema import DATATYPES, Field
from leyden.serving.server.errors import RequestError, bad_request

ELEMENTS: Mapping[str, set[type]] = {"b": {bool}, "u": {int}, "i": {int}, "f": {int, float}}
"""Types of the JSON values that a tensor holds, by the kind of its dtype."""

BINARY_SIZE = "binary_data_size"
"""Parameter of a tensor in binary data: its size in bytes."""

Output: TypeAlias = NDArray[Any] | Sequence[str]
"""An array, or texts ``(rows,)``, which are a tensor of type BYTES."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input of a request.

    Attributes:
        field: What the network takes.
        shape: Its shape, which fits the field.
        content: A list of JSON, flat or nested; or binary data.
    """

    field: Field
    shape: tuple[int, ...]
    content: list[Any] | bytes

    def array(self) -> NDArray[Any]:
        """Return the tensor as an array.

        Raises:
            RequestError: If the content does not have its shape, or other values than its dtype.
        """
        if isinstance(self.content, bytes):
            return self._from_bytes(self.content)
        return self._from_json(self.content)

    def _from_bytes(self, content: bytes) -> NDArray[Any]:
        dtype = np.dtype(self.field.dtype)
        expected = math.prod(self.shape) * dtype.itemsize
        if len(content) != expected:
            raise self._refused(f"expected {expected} bytes of binary data, got {len(content)}")
        stored = np.dtype(np.uint8) if dtype == np.bool_ else dtype.newbyteorder("<")
        return np.frombuffer(content, stored).reshape(self.shape).astype(dtype)

    def _from_json(self, content: list[Any]) -> NDArray[Any]:
        dtype = np.dtype(self.field.dtype)
        elements = self._flat(content)
        if len(elements) != math.prod(self.shape):
            raise self._refused(
                f"expected {math.prod(self.shape)} values for its shape {list(self.shape)}, got "
                f"{len(elements)}"
            )
        accepted = ELEMENTS[dtype.kind]
        if not accepted.issuperset(map(type, elements)):
            wrong = next(each for each in elements if type(each) not in accepted)
            raise self._refused(f"expected values of type {self._datatype}, got {wrong!r:.80}")
        try:
            with np.errstate(over="ignore"):  # the result is infinite
                array = np.array(elements, dtype)
        except OverflowError as error:
            raise self._refused(
                f"expected values of type {self._datatype}, but {error!s:.160}"
            ) from None
        if dtype.kind == "f" and not np.isfinite(array).all():
            raise self._refused(f"a value is too large for {self._datatype}")
        return array.reshape(self.shape)

    def _flat(self, elements: list[Any]) -> list[Any]:
        """Return the elements of a list that is flat, or nested as the shape, in row-major order.

        Raises:
            RequestError: If it is nested otherwise.
        """
        if list not in set(map(type, elements)):
            return elements
        if len(elements) == self.shape[0]:
            for size in self.shape[1:]:
                if not all(isinstance(each, list) and len(each) == size for each in elements):
                    break
                elements = list(chain.from_iterable(elements))
            else:
                return elements
        raise self._refused(
            f"expected a flat array, or arrays nested as its shape {list(self.shape)}"
        )

    @property
    def _datatype(self) -> str:
        return DATATYPES[self.field.dtype]

    def _refused(self, message: str) -> RequestError:
        return bad_request(f"{self.field.name}: {message}.")


def describe_field(field: Field) -> dict[str, Any]:
    """Return the metadata of a tensor, with -1 for sizes that vary."""
    return {
        "name": field.name,
        "datatype": DATATYPES[field.dtype],
        "shape": field.sizes,
    }


def read_tensor(described: Mapping[str, Any], field: Field, binary: "BinaryData") -> Tensor:
    """Read an input of a request.

    Args:
        described: JSON object of the tensor.
        field: What the network takes.
        binary: Binary data of the request, of which the tensor takes the next piece.

    Raises:
        RequestError: If its type or shape is not that of the field, or it has no content.
    """
    expected = describe_field(field)
    if described.get("datatype") != expected["datatype"]:
        raise bad_request(
            f"{field.name}: expected datatype {expected['datatype']}, got "
            f"{described.get('datatype')!r:.80}."
        )
    shape: Any = described.get("shape")
    is_shape = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
    if not is_shape or not field.fits(shape):
        most = "" if field.most is None else f", with at most {field.most} for a size that varies"
        least = f", with at least {field.least} for a size that varies" if field.least else ""
        raise bad_request(
            f"{field.name}: expected shape {expected['shape']}{least}{most}, got {shape!r:.80}."
        )
    size = read_parameters(described).get(BINARY_SIZE)
    if size is not None and "data" in described:
        raise bad_request(f"{field.name}: expected either data or {BINARY_SIZE}, got both.")
    content = described.get("data") if size is None else binary.take(size)
    if not isinstance(content, list | bytes):
        raise bad_request(f"{field.name}: expected data as an array, got {json_type(content)}.")
    return Tensor(field=field, shape=tuple(shape), content=content)


class BinaryData:
    """Binary data after the JSON of a request, in the order of its inputs."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._start = 0

    @property
    def rest(self) -> int:
        """Number of bytes that no tensor has taken."""
        return len(self._content) - self._start

    def take(self, size: object) -> bytes:
        """Return the next piece.

        Raises:
            RequestError: If there are fewer bytes, or the size is not a number of bytes.
        """
        if type(size) is not int or not 0 <= size <= self.rest:
            raise bad_request(
                f"{BINARY_SIZE}: expected a number of bytes up to the {self.rest} that follow the "
                f"JSON and the inputs before, got {size!r:.80}."
            )
        self._start += size
        return self._content[self._start - size : self._start]


def read_parameters(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request, an input or an output; any names are accepted.

    Raises:
        RequestError: If they are not an object of strings, numbers and booleans.
    """
    parameters = described.get("parameters", {})
    if not isinstance(parameters, dict) or not all(
        isinstance(value, str | int | float) for value in parameters.values()
    ):
        raise bad_request("parameters: expected an object of strings, numbers and booleans.")
    return parameters


def write_tensor(name: str, output: Output, *, binary: bool) -> tuple[dict[str, Any], bytes]:
    """Return the JSON object of an output, and its binary data.

    Raises:
        RequestError: If JSON cannot hold the numbers.
    """
    if isinstance(output, np.ndarray):
        datatype, shape = DATATYPES[output.dtype.name], list(output.shape)
    else:
        datatype, shape = "BYTES", [len(output)]
    described = {"name": name, "datatype": datatype, "shape": shape}
    if binary:
        content = _binary(output)
        return {**described, "parameters": {BINARY_SIZE: len(content)}}, content
    if isinstance(output, np.ndarray) and not np.isfinite(output).all():
        raise bad_request(
            f"{name}: the answer to these values is not finite. Expected values like those of the "
            "training data."
        )
    data = output.ravel().tolist() if isinstance(output, np.ndarray) else list(output)
    return {**described, "data": data}, b""


def _binary(output: Output) -> bytes:
    """Return little-endian values in row-major order; a text follows its size in 4 bytes."""
    if isinstance(output, np.ndarray):
        return output.astype(output.dtype.newbyteorder("<"), copy=False).tobytes()
    texts = [text.encode() for text in output]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
