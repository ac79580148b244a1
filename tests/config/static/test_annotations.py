import ast
from inspect import Parameter
from pathlib import Path

import pytest

from leyden.config.static.annotations import accepts, describe, mismatch
from leyden.config.static.signatures import signature_of

NODE = {"_target_": "torch.nn.ReLU"}


def annotation(text):
    return ast.parse(text, mode="eval").body


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("int", 3),
        ("float", 3),
        ("float", 0.5),
        ("bool", True),
        ("str", "abc"),
        ("None", None),
        ("Any", object()),
        ("int | None", None),
        ("Optional[int]", None),
        ("typing.Optional[int]", 3),
        ("Union[int, str]", "abc"),
        ("'int | None'", None),
        ("Optional['float']", 0.5),
        ("Literal['min', 'max']", "min"),
        ("Literal['16', 16, -1] | None", -1),
        ("list[int]", [1, 2]),
        ("list", ["a", 1]),
        ("List[float]", []),
        ("Sequence[int | None]", [1, None]),
        ("Iterable[str]", ["a"]),
        ("tuple[float, float]", [0.9, 0.999]),
        ("tuple[int, ...]", [1, 2, 3]),
        ("Tuple", [1, "a"]),
        ("set[str]", ["a"]),
        ("dict[str, float]", {"a": 1.0}),
        ("Mapping[str, Any]", {"a": object()}),
        ("dict", {}),
        ("Path", "data/rows"),
        ("Path", Path("data/rows")),
        ("str | os.PathLike[str]", "data/rows"),
        ("nn.Module", NODE),
        ("Callable[[], nn.Module]", NODE),
        ("list[nn.Module]", [NODE]),
        ("list[nn.Module]", NODE),
        ("dict[str, nn.Module]", {"a": NODE}),
        ("Path", NODE),
        ("float | Tensor", 0.5),
        ("float | Tensor", NODE),
        ("torch.device", "cpu"),
        ("_size_2_t", [1, 2]),
        ("'not an annotation!'", 3),
        ("Module", object()),
    ],
)
def test_accepts_values_of_the_annotated_type(text, value):
    assert accepts(annotation(text), value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("int", "3"),
        ("int", 3.0),
        ("int", True),
        ("int", None),
        ("float", True),
        ("float", "1e-3"),
        ("bool", 1),
        ("str", 3),
        ("None", 0),
        ("Optional[int]", "abc"),
        ("'int | None'", "abc"),
        ("Literal['min', 'max']", "mni"),
        ("Literal[1]", True),
        ("list[int]", 3),
        ("list[int]", "abc"),
        ("list[int]", [1, "a"]),
        ("Sequence[str]", "abc"),
        ("Iterable[int]", {"a": 1}),
        ("tuple[float, float]", [0.9]),
        ("tuple[float, float]", [0.9, "a"]),
        ("tuple[int, ...]", [1, "a"]),
        ("tuple[int, int]", 3),
        ("dict[str, float]", {"a": "b"}),
        ("dict[str, float]", ["a"]),
        ("Path", 3),
        ("int | None", NODE),
        ("Literal['a']", NODE),
        ("dict[str, int]", "abc"),
        ("nn.Module", "resnet"),
        ("Module", 3),
        ("Callable[[int], int] | None", 0.5),
        ("type[Module]", "Module"),
        ("Tensor | None", [1.0, 2.0]),
        ("list[Tensor]", [1.0]),
    ],
)
def test_rejects_values_of_other_types(text, value):
    assert not accepts(annotation(text), value)


def test_no_annotation_accepts_everything():
    assert accepts(None, object())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("float", "a float"),
        ("int | None", "an int or null"),
        ("Optional[Union[int, float]]", "an int, a float or null"),
        ("Literal['min', 'max']", "one of 'min', 'max'"),
        ("bool", "true or false"),
        ("str | Path | None", "a string, a path or null"),
        ("list[int]", "a list (list[int])"),
        ("tuple", "a list"),
        ("dict[str, Any]", "a mapping (dict[str, Any])"),
        ("nn.Module", "a node with a _target_ (nn.Module)"),
        ("'torch.device'", "torch.device"),
    ],
)
def test_descriptions(text, words):
    assert describe(annotation(text)) == words


def test_mismatch_names_the_expected_type_and_the_value():
    parameter = Parameter("x", Parameter.KEYWORD_ONLY, annotation=annotation("float"))
    assert mismatch(parameter, "abc") == "expected a float, got 'abc' (str)"
    assert mismatch(parameter, 1) == ""
    assert len(mismatch(parameter, "a" * 1000)) < 150


@pytest.mark.parametrize("default", ["None", "False", "-1", "'auto'"])
def test_the_default_is_accepted_whatever_the_annotation(default):
    expression = annotation(default)
    parameter = Parameter(
        "x", Parameter.KEYWORD_ONLY, default=expression, annotation=annotation("list[int]")
    )
    assert mismatch(parameter, ast.literal_eval(expression)) == ""
    assert mismatch(parameter, 7)


def test_signatures_keep_kinds_and_defaults():
    (function,) = ast.parse("def f(a, /, b: int, c=1, *args, d, e=2, **kwargs): ...").body
    signature = signature_of(function, method=False)
    assert [(p.name, p.kind.name, p.default is p.empty) for p in signature.parameters.values()] == [
        ("a", "POSITIONAL_ONLY", True),
        ("b", "POSITIONAL_OR_KEYWORD", True),
        ("c", "POSITIONAL_OR_KEYWORD", False),
        ("args", "VAR_POSITIONAL", True),
        ("d", "KEYWORD_ONLY", True),
        ("e", "KEYWORD_ONLY", False),
        ("kwargs", "VAR_KEYWORD", True),
    ]
    assert ast.unparse(signature.parameters["b"].annotation) == "int"
    assert next(iter(signature_of(function, method=True).parameters)) == "b"
