"""Contract and options of every network in the package."""

import importlib
import inspect
import pkgutil

import pytest
import torch
from hydra.utils import get_object
from torch import nn

import leyden.networks
import shipped
from leyden.config.compose import compose, freeze
from leyden.testing.network_contract import NetworkContract


def images(*shape):
    sizes = {"input_shape": shape, "num_outputs": 5}
    return sizes, lambda rows: {"images": torch.randn(rows, *shape)}


def texts(longest):
    def batch(rows):
        mask = torch.arange(longest) <= torch.arange(rows).unsqueeze(1) % longest
        return {"tokens": torch.randint(2, 50, (rows, longest)) * mask, "mask": mask}

    return {"vocab_size": 50, "num_outputs": 3}, batch


def columns(num_numbers, *cardinalities):
    def batch(rows):
        codes = [torch.randint(values, (rows, 1)) for values in cardinalities]
        categories = torch.cat([torch.empty(rows, 0).long(), *codes], dim=1)
        return {"numbers": torch.randn(rows, num_numbers), "categories": categories}

    sizes = {"num_numbers": num_numbers, "cardinalities": list(cardinalities), "num_outputs": 3}
    return sizes, batch


def speech(steps):
    def batch(rows):
        return {"images": torch.randn(rows, 1, 8, steps), "frames": torch.full((rows,), steps)}

    return {"num_mels": 8, "num_tokens": 5}, batch


def prompts(length):
    return {"vocab_size": 50}, lambda rows: {"tokens": torch.randint(2, 50, (rows, length))}


KINDS = [
    images(1, 8, 8),
    images(3, 33, 17),
    images(2, 1, 40),
    texts(1),
    texts(12),
    columns(5, 3, 40, 2),
    columns(4),
    columns(0, 60),
    speech(12),
    prompts(6),
]

EXTREMES = [
    *(images(*shape) for shape in [(1, 1, 1), (1, 8, 7), (1, 28, 28), (3, 32, 32)]),
    columns(0, 6),
    columns(1, 1),
]


def required(factory):
    parameters = inspect.signature(factory).parameters.values()
    return {each.name for each in parameters if each.default is each.empty}


def classes():
    for module in pkgutil.walk_packages(leyden.networks.__path__, "leyden.networks."):
        for found in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(found) and found.__module__ == module.name:
                yield found


CASES = [
    pytest.param(network, sizes, batch, id=f"{network.__name__}-{list(sizes.values())}")
    for network in classes()
    for sizes, batch in KINDS
    if issubclass(network, nn.Module) and required(network) == set(sizes)
]


def without_dropout(network):
    return {"dropout": 0.0} if "dropout" in inspect.signature(network).parameters else {}


ONCE_EACH = list({case.values[0]: case for case in CASES}.values())

once_each = pytest.mark.parametrize(("network", "sizes", "batch"), ONCE_EACH)


def each_that_takes(*sizes):
    of_kind = [case.values[0] for case in ONCE_EACH if set(sizes) <= set(case.values[1])]
    return pytest.mark.parametrize("network", of_kind)


@pytest.mark.parametrize("option", shipped.OPTIONS["network"])
def test_every_option_is_found(option):
    network = get_object(freeze(compose([f"network={option}"])).network["_target_"])

    assert network in [case.values[0] for case in CASES]


@pytest.mark.parametrize(("network", "sizes", "batch"), CASES)
class TestEveryNetwork(NetworkContract):
    @pytest.fixture(autouse=True)
    def case(self, network, sizes, batch):
        self.make = lambda: network(**sizes | without_dropout(network))
        self.inputs = batch

    def make(self): ...

    def inputs(self, rows): ...


@pytest.mark.parametrize(("network", "sizes", "batch"), CASES)
def test_logits_have_one_column_for_each_output(network, sizes, batch):
    outputs = [sizes[name] for name in ("num_outputs", "num_tokens", "vocab_size") if name in sizes]

    assert network(**sizes)(**batch(4)).shape[-1] == outputs[0]


@once_each
def test_state_dict_names_the_layers(network, sizes, batch):  # noqa: ARG001
    names = {name.split(".")[0] for name in network(**sizes).state_dict()}

    assert names <= {"input_layer", "hidden_layers", "output_layer"}
    assert len(names) == 3 or "num_numbers" not in sizes


@pytest.mark.parametrize(
    ("network", "sizes", "batch"), [case for case in ONCE_EACH if without_dropout(case.values[0])]
)
def test_dropout_is_off_in_evaluation(network, sizes, batch):
    net, rows = network(**sizes, dropout=0.5), batch(16)
    with torch.no_grad():
        for weight in net.parameters():  # some weights are initialised with zeros
            weight.add_(torch.rand_like(weight), alpha=0.1)
    assert not torch.equal(net(**rows), net(**rows))

    net.eval()

    assert torch.equal(net(**rows), net(**rows))


@once_each
def test_an_invalid_size_is_named(network, sizes, batch):  # noqa: ARG001
    wrong = {"input_shape": (1, 0, 8), "num_outputs": 0, "vocab_size": 0, "num_mels": 0}
    wrong |= {"num_tokens": 0, "dropout": 1.0, "width": 0}
    for name in wrong.keys() & inspect.signature(network).parameters:
        with pytest.raises(ValueError, match=name):
            network(**sizes | {name: wrong[name]})


@pytest.mark.parametrize(
    ("network", "sizes", "batch"),
    [
        (case.values[0], sizes, batch)
        for case in ONCE_EACH
        for sizes, batch in EXTREMES
        if set(sizes) == set(case.values[1])
    ],
)
def test_outputs_and_gradients_of_extreme_sizes(network, sizes, batch):
    torch.manual_seed(0)
    net = network(**sizes | without_dropout(network))
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.rand_like(weight), alpha=0.1)

    outputs = net(**batch(16))
    outputs.square().sum().backward()

    assert outputs.shape == (16, sizes["num_outputs"])
    assert outputs.isfinite().all()
    assert all(weight.grad.any() for weight in net.parameters() if weight.numel())


@each_that_takes("input_shape")
def test_large_images_are_accepted(network):
    net = network(input_shape=(3, 224, 224), num_outputs=2).eval()

    with torch.no_grad():
        assert net(torch.randn(1, 3, 224, 224)).shape == (1, 2)


@pytest.mark.parametrize(
    ("network", "sizes", "batch"),
    [
        (case.values[0], sizes, batch)
        for case in ONCE_EACH
        for sizes, batch in (images(1, 8, 8), texts(12))
        if set(sizes) == set(case.values[1])
    ],
)
def test_a_batch_can_be_overfitted(network, sizes, batch):
    torch.manual_seed(0)
    net, rows = (
        network(**sizes | without_dropout(network)),
        batch(16 if "input_shape" in sizes else 12),
    )
    labels = torch.arange(len(next(iter(rows.values())))) % sizes["num_outputs"]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)

    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(**rows), labels).backward()
        optimizer.step()

    assert (net(**rows).argmax(dim=1) == labels).all()


@each_that_takes("input_shape")
def test_memory_format_does_not_change_the_logits(network):
    net = network(input_shape=(3, 32, 32), num_outputs=2).eval()
    images = torch.randn(4, 3, 32, 32)
    expected = net(images)

    net.to(memory_format=torch.channels_last)
    logits = net(images.to(memory_format=torch.channels_last))

    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


@each_that_takes("vocab_size", "num_outputs")
def test_padding_does_not_change_the_logits(network):
    net = network(vocab_size=50, num_outputs=3).eval()
    tokens = torch.randint(2, 50, (2, 5))

    padded = nn.functional.pad(tokens, (0, 15))

    torch.testing.assert_close(
        net(padded, padded > 0), net(tokens, tokens > 0), rtol=1e-4, atol=1e-5
    )


@each_that_takes("num_numbers", "cardinalities")
def test_every_column_changes_the_logits(network):
    sizes, batch = columns(5, 3, 40, 2)
    net, rows = network(**sizes).eval(), batch(6)
    before = net(**rows)

    for column in range(5):
        numbers = rows["numbers"].clone()
        numbers[:, column] += 3
        assert not torch.allclose(net(numbers, rows["categories"]), before, atol=1e-4)
    for column, values in enumerate(sizes["cardinalities"]):
        categories = rows["categories"].clone()
        categories[:, column] = (categories[:, column] + 1) % values
        assert not torch.allclose(net(rows["numbers"], categories), before, atol=1e-4)


@each_that_takes("num_numbers", "cardinalities")
def test_an_interaction_of_a_number_and_a_category_is_learned(network):
    sizes, batch = columns(5, 3, 40, 2)
    torch.manual_seed(0)
    net, rows = network(**sizes, dropout=0.0), batch(128)
    labels = ((rows["numbers"][:, 0] > 0) ^ (rows["categories"][:, 2] == 1)).long()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.005)

    for _ in range(80):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(**rows), labels).backward()
        optimizer.step()

    assert (net.eval()(**rows).argmax(dim=1) == labels).float().mean() > 0.95
