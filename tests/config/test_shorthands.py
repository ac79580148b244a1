import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from leyden.config.compose import compose, freeze
from leyden.config.shorthands import NEEDED, NONE, expand_shorthands
from leyden.errors import UserError


@pytest.mark.parametrize("group", [*NONE, "callbacks", "debug", "experiment", "logger"])
@pytest.mark.parametrize("form", ["{}=null", "{}=", "~{}", "++{}=NULL"])
def test_a_group_is_left_out(group: str, form: str) -> None:
    left_out = freeze(compose(expand_shorthands([form.format(group)])))

    assert left_out == freeze(compose([f"{group}={NONE.get(group, '[]')}"]))


@pytest.mark.parametrize("group", NEEDED)
@pytest.mark.parametrize("form", ["{}=null", "{}=", "~{}"])
def test_a_required_group_cannot_be_left_out(group: str, form: str) -> None:
    with pytest.raises(UserError, match=f"leaves a run without {group}. Expected one of "):
        expand_shorthands([form.format(group)])


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("scheduler=null,cosine", "scheduler=constant,cosine"),
        ("logger=tensorboard,null", "logger=tensorboard,[]"),
        ("callbacks=[default,null]", "callbacks=[default,null]"),
        ("+experiment=spam", "experiment=spam"),
        ("scheduler.pct_start=null", "scheduler.pct_start=null"),
        ("~callbacks.ema", "~callbacks.ema"),
        ("task={mix: null,_target_: a.B}", "task={mix: null,_target_: a.B}"),
        ("data.root=nowhere,elsewhere", "data.root=nowhere,elsewhere"),
    ],
)
def test_other_overrides_are_unchanged(override: str, expected: str) -> None:
    assert expand_shorthands([override]) == [expected]


@pytest.mark.parametrize("override", ["data=_base", "data=digits,_image", "callbacks=[default,_x]"])
def test_files_that_others_share_are_not_options(override: str) -> None:
    with pytest.raises(UserError, match=r"_\w+.yaml holds what other files share and is not an "):
        expand_shorthands([override])


def test_additional_groups_keep_their_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leyden.config.shorthands.groups", lambda: {"mine": ["a"]})

    written = expand_shorthands(["+mine=a", "~mine", "mine=null"])

    assert written == ["+mine=a", "~mine", "mine=[]"]


@pytest.mark.parametrize("override", ["hydra=null", "hydra/launcher=", "+mine/inner=null"])
def test_groups_of_hydra_need_an_option(override: str) -> None:
    with pytest.raises(UserError, match="names no option"):
        expand_shorthands([override])


@given(name=st.text(min_size=1))
def test_paths_of_data_may_contain_any_character(name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leyden.config.shorthands.exists", lambda path: True)  # noqa: ARG005
        (override,) = expand_shorthands([f"data.root={name}"])

    assert OverridesParser.create().parse_override(override).value() == name
