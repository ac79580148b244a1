import pytest
from omegaconf import OmegaConf

from leyden.config.check import check, target_nodes
from leyden.errors import UserError

ADAM = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.1}


def test_good_targets_pass() -> None:
    check(OmegaConf.create({"optimizer": ADAM, "loss": {"_target_": "torch.nn.MSELoss"}}))


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        ({"lr": "high"}, "a.b.lr", r"^a\.b\.lr: expected a float.*got 'high'"),
        ({"rate": 1.0}, "a.b.rate", r"^a\.b\.rate: .*no argument 'rate'"),
        ({"_target_": "torch.optim.Adem"}, "a.b._target_", r"no 'Adem'.*'Adam'"),
        ({"_target_": "os.system"}, "a.b._target_", r"'os\.system' is refused"),
        ({"_partial_": False}, "a.b._target_", r"lacks required arguments: set a\.b\.params"),
    ],
)
def test_fault_names_the_key_and_who_set_it(
    change: dict[str, object], key: str, message: str
) -> None:
    asked = []

    def origin(key: str) -> str:
        asked.append(key)
        return "SOMEBODY"

    with pytest.raises(UserError, match=message) as caught:
        check(OmegaConf.create({"a": {"b": ADAM | change}}), origin=origin)

    assert asked == [key]
    assert str(caught.value).endswith(" Set by SOMEBODY.")


def test_values_behind_links_are_checked() -> None:
    config = OmegaConf.create({"rate": "high", "optimizer": ADAM | {"lr": "${rate}"}})

    with pytest.raises(UserError, match=r"optimizer\.lr: .*'high'"):
        check(config)


def test_each_target_is_visited_at_its_home_only() -> None:
    links = {"task": {"_target_": "a", "slot": "${net}", "list": [{"_target_": "c"}]}}
    links |= {"net": {"_target_": "b"}}
    resolved = links | {"task": {**links["task"], "slot": {"_target_": "b"}}}

    nodes = dict(target_nodes(links, resolved))

    assert list(nodes) == ["task", "task.list[0]", "net"]
    assert nodes["task"]["slot"] == {"_target_": "b"}
