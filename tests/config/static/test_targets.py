import importlib
import inspect
import re
import subprocess
import sys
import textwrap
from inspect import Parameter
from pathlib import Path

import lightning.pytorch.callbacks
import pytest
import torch
import torchmetrics

from leyden.config.static import targets
from leyden.config.static.targets import Target, bind, import_target, resolve
from leyden.errors import UserError


def public_classes(module):
    names = (name for name in vars(module) if not name.startswith("_"))
    found = ((name, getattr(module, name)) for name in names)
    return [
        f"{module.__name__}.{name}"
        for name, value in found
        if inspect.isclass(value)
        and value.__module__.startswith(module.__name__)
        # The decorator for deprecated classes puts a constructor of its own before theirs.
        and not hasattr(value, "__deprecated__")
    ]


TARGETS = [
    *public_classes(torch.optim),
    *public_classes(torch.optim.lr_scheduler),
    *public_classes(torch.optim.swa_utils),
    *public_classes(torch.nn),
    *(f"lightning.pytorch.callbacks.{name}" for name in lightning.pytorch.callbacks.__all__),
    *(f"torchmetrics.{name}" for name in torchmetrics.__all__ if name[0].isupper()),
    "lightning.pytorch.Trainer",
    "lightning.pytorch.accelerators.CPUAccelerator",
    "lightning.pytorch.loggers.CSVLogger",
    "lightning.pytorch.loggers.MLFlowLogger",
    "lightning.pytorch.loggers.TensorBoardLogger",
    "lightning.pytorch.loggers.WandbLogger",
    "lightning.pytorch.plugins.MixedPrecision",
    "lightning.pytorch.plugins.TorchCheckpointIO",
    "lightning.pytorch.profilers.PyTorchProfiler",
    "lightning.pytorch.profilers.SimpleProfiler",
    "lightning.pytorch.strategies.DDPStrategy",
    "lightning.pytorch.strategies.FSDPStrategy",
    "lightning.pytorch.strategies.ModelParallelStrategy",
    "torch.nn.functional.cross_entropy",
    "torch.nn.init.kaiming_normal_",
    "torchmetrics.functional.accuracy",
]


@pytest.mark.parametrize("name", TARGETS)
def test_signatures_in_the_source_are_those_of_the_objects(name):
    module, _, attribute = name.rpartition(".")
    real = getattr(importlib.import_module(module), attribute)
    seen, expected = shape(resolve(name).signature), shape(inspect.signature(real))
    assert import_target(resolve(name)) is real
    own = [parameter for parameter in expected if parameter[1] is not Parameter.VAR_KEYWORD]
    assert seen[: len(own)] == own
    assert seen == expected or passes_options_on(real)


def passes_options_on(real):
    source = inspect.getsource(real.__init__)
    return "**" in source and "super().__init__(" in source


def shape(signature):
    return [(p.name, p.kind, p.default is p.empty) for p in signature.parameters.values()]


ATTACKS = [
    "os.system",
    "builtins.eval",
    "eval",
    "",
    "subprocess.run",
    "torch.load",
    "torch.hub.load",
    "torch.jit.load",
    "torch.serialization.load",
    "torch.nn",
    "torch.nn.",
    "torch.nn.os.system",
    "torch.nn.Linear.forward",
    "torch.nn.Module.__init__",
    "torch.nn.Module.__class__.__subclasses__",
    "torch.nn.__builtins__.eval",
    "torch.nn.modules.module.torch.load",
    "torch.nn.functional.importlib.import_module",
    "torch.nn.functional.torch.hub.load",
    "torch.nn.utils._deprecation_utils.lazy_deprecated_import",
    "torch.nn.attention._fa3.register_flash_attention_fa3",
    "torch.nn.attention.register_flash_attention_impl",
    "torch.optim.lr_scheduler.partial",
    "torch.optim.lr_scheduler.types.FunctionType",
    "torch.nnx.Linear",
    "torchmetrics.metric.torch.load",
    "torchmetrics.multimodal.CLIPScore",
    "torchmetrics.functional.multimodal.clip_score",
    "torchmetrics.text.BERTScore",
    "torchmetrics.text.rouge.ROUGEScore",
    "torchmetrics.image.fid.FrechetInceptionDistance",
    "torchmetrics.audio.dnsmos.DeepNoiseSuppressionMeanOpinionScore",
    "torchmetrics.utilities.checks.check_forward_full_state_property",
    "lightning.pytorch.LightningModule.load_from_checkpoint",
    "lightning.pytorch.Trainer.fit",
    "lightning.pytorch.accelerators.cuda.subprocess.run",
    "lightning.pytorch.accelerators.find_usable_cuda_devices",
    "lightning.pytorch.callbacks.model_checkpoint.shutil.rmtree",
    "lightning.pytorch.plugins.TorchCheckpointIO.load_checkpoint",
    "lightning.pytorch.strategies.StrategyRegistry.get",
    "lightning.pytorch.strategies.fsdp.torch.load",
    "lightning.fabric.plugins.io.torch_io.os.system",
    "lightning.fabric.utilities.cloud_io._load",
    "leyden.errors.UserError",
    "leyden.datax.Images",
    "leyden.data.anything.subprocess.run",
    "leyden.data.sources.archives.extract",
    "leyden.data.sources.archives.shutil.rmtree",
    "leyden.config.static.targets.resolve",
]


@pytest.mark.parametrize("target", ATTACKS)
def test_attacks_are_refused(target):
    with pytest.raises(UserError, match="_target_"):
        resolve(target)


FETCHES = re.compile(
    r"download|urlretrieve|requests\.get|from_pretrained|torch\.hub\.|load_state_dict_from_url"
    r"|torch_fidelity|InferenceSession"
)
PROSE = {"torchmetrics.functional.text.eed", "torchmetrics.wrappers.feature_share"}
"""Modules whose docstrings alone match."""


def test_no_trusted_metric_downloads_anything():
    folder = Path(torchmetrics.__file__).parent
    found = []
    for file in sorted(folder.rglob("*.py")):
        code = "\n".join(line.partition("#")[0] for line in file.read_text().splitlines())
        module = ".".join(("torchmetrics", *file.relative_to(folder).with_suffix("").parts))
        denied = any(f"{module}.".startswith(f"{name}.") for name in targets.DENIED)
        if FETCHES.search(code) and not denied and "utilities" not in module:
            found.append(module)
    assert set(found) <= PROSE


def test_nothing_is_imported():
    program = """
        import sys
        from leyden.config.static.targets import bind, resolve
        from leyden.errors import UserError

        bind(resolve("torch.optim.AdamW"), {"lr": 0.1, "_partial_": True}, where="optimizer")
        bind(resolve("lightning.pytorch.Trainer"), {"devices": 1}, where="trainer")
        before = set(sys.modules)
        for target in sys.argv[1:]:
            try:
                resolve(target)
            except UserError:
                continue
            sys.exit(f"{target} was accepted")
        assert before == set(sys.modules), set(sys.modules) - before
        assert not {"torch", "lightning", "torchmetrics", "numpy"} & set(sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), *ATTACKS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_targets_have_a_canonical_name():
    assert resolve("torch.optim.AdamW").canonical == "torch.optim.adamw.AdamW"
    trainer = resolve("lightning.pytorch.Trainer")
    assert trainer.target == "lightning.pytorch.Trainer"
    assert trainer.canonical == "lightning.pytorch.trainer.trainer.Trainer"
    assert trainer.is_class
    assert not resolve("torch.nn.functional.cross_entropy").is_class


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "torch.optim.AdamWW",
            "_target_ 'torch.optim.AdamWW' does not exist: torch.optim has no 'AdamWW'. "
            "Did you mean 'AdamW'",
        ),
        ("torch.optim.adamw.adamw_", "torch.optim.adamw has no 'adamw_'. Did you mean 'adamw'"),
        ("torch.nn.crossentropyloss", "Did you mean 'CrossEntropyLoss'"),
        ("torch.optim.schedulers.StepLR", "torch.optim has no 'schedulers'"),
        ("leyden.network.MLP", "Did you mean 'leyden.networks'"),
        ("torchvision.models.resnet18", "Define it in src/NAME of your project"),
        ("os.system", "'os.system' is not in a trusted package"),
        ("torch.nn.Linear.forward", "it is inside torch.nn.modules.linear.Linear"),
        ("torch.nn.functional.max_pool2d", "'max_pool2d' is not a class or function"),
        ("torch.nn.modules", "is a module"),
        ("torch nn", "is not a dotted name"),
    ],
)
def test_messages_name_the_reason(target, message):
    with pytest.raises(UserError) as caught:
        resolve(target)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_missing_package_is_reported(monkeypatch):
    monkeypatch.setattr(targets, "TRUSTED", ("not_there",))
    with pytest.raises(UserError, match="is 'not_there' installed"):
        resolve("not_there.Thing")


def bound(target, where="node", **arguments):
    bind(resolve(target), arguments, where=where)


def test_bind_accepts_valid_arguments():
    bound("torch.nn.Linear", in_features=3, out_features=4, bias=False, _convert_="all")
    bound("torch.optim.AdamW", lr=1e-3, betas=[0.9, 0.99], _partial_=True)
    bound("torch.nn.Sequential", _args_=[{"_target_": "torch.nn.ReLU"}] * 3)
    bound("torch.nn.Linear", _args_=[3, 4], bias=True)
    bound("torchmetrics.MeanMetric", anything="passes")
    bound("lightning.pytorch.Trainer", devices="auto", max_epochs=3, callbacks=[{"_target_": "x"}])


@pytest.mark.parametrize(
    ("target", "arguments", "message"),
    [
        (
            "torch.nn.Linear",
            {"in_features": 3, "out_feature": 4},
            "network.out_feature: torch.nn.Linear takes no argument 'out_feature'. "
            "Did you mean 'out_features'",
        ),
        (
            "torch.nn.Linear",
            {},
            "torch.nn.Linear lacks required arguments: "
            "set network.in_features, network.out_features.",
        ),
        (
            "torch.nn.Dropout",
            {"p": "abc"},
            "network.p: expected a float, got 'abc' (str).",
        ),
        (
            "lightning.pytorch.Trainer",
            {"max_epochs": "ten"},
            "network.max_epochs: expected an int or null, got 'ten' (str).",
        ),
        (
            "torch.optim.AdamW",
            {"lr": None},
            "network.lr: expected a float or a node with a _target_ (Tensor), got None (NoneType).",
        ),
        ("torch.nn.ReLU", {"_args_": [True, 1]}, "network._args_: torch.nn.ReLU takes at most 1"),
        ("torch.nn.ReLU", {"_args_": ["yes"]}, "network.inplace: expected true or false"),
        ("torch.nn.ReLU", {"_inplace_": True}, "takes no argument '_inplace_'"),
    ],
)
def test_bind_refuses_invalid_arguments(target, arguments, message):
    with pytest.raises(UserError) as caught:
        bound(target, "network", **arguments)
    assert message in str(caught.value)


def test_partial_nodes_may_lack_arguments():
    bound("torch.optim.SGD", _partial_=True)
    with pytest.raises(UserError, match=r"set node\.params"):
        bound("torch.optim.SGD")


def test_messages_at_the_root_begin_with_the_argument():
    with pytest.raises(UserError, match=r"^inplaced: "):
        bound("torch.nn.ReLU", "", inplaced=True)


def test_targets_are_compared_by_value():
    assert resolve("torch.nn.ReLU") == resolve("torch.nn.ReLU")
    assert isinstance(resolve("torch.nn.ReLU"), Target)
