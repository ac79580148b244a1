"""Malicious configs: nothing outside the trusted packages is imported or called.

Each config is a valid one with a harmful node in it, hidden by links, escapes, lists, merges,
resolvers or the arguments that a command passes itself. Every harmful target would leave a
file called ``MARK``, import a module that nothing else imports, or read a secret.
"""

import copy
import os
import random
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml

from leyden.checkpoints.io import SafeCheckpointIO

COMMANDS = ("evaluate", "predict", "train", "consolidate", "crossval")
CONFIGS = 130
"""For each command."""

SEED = 0

SECRET = "hunter2"
PROFILERS = "lightning.pytorch.profilers"
LOGGERS = "lightning.pytorch.loggers"
STRANGE = ("canary", "antigravity", "this", "turtledemo", "idlelib")


@pytest.fixture(scope="module")
def watched():
    """Record what happens in this process: imports, files opened to write, programs, sockets."""
    seen = []
    on = [True]

    def hook(event, arguments):
        if on[0] and is_suspicious(event, *arguments):
            seen.append((event, str(arguments[0])))

    sys.addaudithook(hook)  # for good: it can be silenced but not removed
    yield seen
    on[0] = False


def is_suspicious(event, what=None, *arguments):
    if event == "import":
        return what.partition(".")[0] in STRANGE
    if event == "subprocess.Popen":
        return what != "git"  # which provenance asks
    if event == "open":
        return isinstance(what, str) and arguments[1] & os.O_CREAT
    if event == "os.mkdir":
        return not Path(what).exists()
    return event.startswith(("os.system", "os.exec", "os.posix_spawn", "socket.connect", "urllib."))


class Payload:
    """Creates a file if a checkpoint that contains it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch MARK",)


@pytest.fixture
def victim(tmp_path, monkeypatch):
    """Return a folder with the files that harmful nodes refer to."""
    torch.save(Payload(), tmp_path / "payload.pt")
    (tmp_path / "canary.py").write_text("open('MARK', 'w').close()\ndef run(*_, **__): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SECRET", SECRET)
    return tmp_path


def harmful(random):
    """Draw a node that would be harmful if it were built."""
    options = [
        {"_target_": "os.system", "command": "touch MARK"},
        {"_target_": "os.system", "_args_": ["touch MARK"]},
        {"_target_": "subprocess.run", "args": ["touch", "MARK"]},
        {"_target_": "builtins.exec", "_args_": ["open('MARK', 'w')"]},
        {"_target_": "builtins.open", "file": "MARK", "mode": "w"},
        {"_target_": "torch.load", "f": "payload.pt", "weights_only": False},
        {"_target_": "torch.serialization.load", "f": "payload.pt", "weights_only": False},
        {"_target_": "logging.FileHandler", "filename": "MARK"},
        {"_target_": "pathlib.Path.touch", "self": "MARK"},
        {"_target_": "canary.run"},
        {"_target_": "antigravity.fly"},
        {
            "_target_": "torch.nn.modules.module.torch.load",
            "f": "payload.pt",
            "weights_only": False,
        },
        {
            "_target_": "lightning.pytorch.callbacks.model_checkpoint.os.system",
            "command": "touch MARK",
        },
        {"_target_": "hydra.utils.instantiate", "config": {"_target_": "canary.run"}},
        {"_target_": "hydra.utils.get_method", "path": "canary.run"},
        {"_target_": "torch.hub.load", "repo_or_dir": ".", "model": "run", "source": "local"},
        {"_target_": "lightning.pytorch.loggers.CSVLogger", "save_dir": "MARK", "name": "x"},
        {
            "_target_": "lightning.pytorch.profilers.SimpleProfiler",
            "dirpath": "MARK",
            "filename": "x",
        },
        {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint", "dirpath": "MARK"},
        {"_target_": "leyden.data.sources.archives.extract", "archive": "x", "folder": "MARK"},
    ]
    node = random.choice(options)
    extras = [{}, {"_partial_": True}, {"_recursive_": False}, {"_convert_": "none"}]
    return node | random.choice(extras)


def flow(value):
    """Write a value inside of a resolver's argument."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()


ARGUMENTS = {
    "strategy": ("ddp", "auto"),
    "devices": ("auto", 1),
    "logger": ("a", False),
    "enable_progress_bar": (True, False),
    "precision": ("auto", "32-true"),
    "default_root_dir": ("a", None),
}
"""Arguments of the trainer: what the file says, and what a command may say instead."""


def hidden(random, config, node, way):
    """Draw what is put in the place of a harmful node, and add what that refers to."""
    target = node["_target_"]
    rest = {key: value for key, value in node.items() if key != "_target_"}
    module, _, name = target.rpartition(".")
    argument, (said, given) = random.choice(list(ARGUMENTS.items()))
    harmless = "torch.nn.Identity"
    referred = {
        "stash": {"node": node, "list": [node]},
        "nodes": {str(said): {"_target_": harmless}, str(given): node},
        "words": {"module": module, "name": name, "target": target},
        "choices": {"None": target, str(said): harmless, str(given): target},
    }
    slash = "\\" * random.choice([1, 1, 2, 3])
    ways = [
        lambda: node,
        lambda: [node],
        lambda: {"x": [[{"y": node}]]},
        lambda: "${stash.node}",
        lambda: "${stash.list.0}",
        lambda: "${stash.list[0]}",
        lambda: ["${stash.list}"],
        lambda: {"_target_": "${words.target}", **rest},
        lambda: {"_target_": "${words.module}.${words.name}", **rest},
        lambda: {"_target_": f"${{choices.${{..{argument}}}}}", **rest},
        lambda: {"_target_": f"${{choices.${{trainer.{argument}}}}}", **rest},
        lambda: f"${{nodes.${{.{argument}}}}}",
        lambda: f"${{nodes.${{trainer.{argument}}}}}",
        lambda: {"_target_": f"{slash}${{choices.${{..{argument}}}}}", **rest},
        lambda: f"{slash}${{oc.create:{flow(node)}}}",
        lambda: f"${{oc.create:{flow(node)}}}",
        lambda: "${oc.select:stash.node}",
        lambda: f"{slash}${{stash.node}}",
        lambda: f"{slash}${{oc.select:stash.node}}",
        lambda: f"${{oc.decode:'{flow(target)}'}}",
        lambda: "${oc.dict.values:stash}",
        lambda: "${hydra:runtime.cwd}",
        lambda: {"_target_": "torch.nn.Sequential", "_args_": [node]},
        lambda: {"_target_": "torch.nn.Sequential", "_args_": "${stash.list}"},
        lambda: {
            "_target_": "torch.nn.Sequential",
            "_partial_": True,
            "_args_": [f"{slash}${{stash.node}}"],
        },
        lambda: {"_target_": "torch.nn.Identity", "x": {"_target_": "${words.target}", **rest}},
        lambda: {"_target_": {"_target_": "hydra.utils.get_method", "path": target}, **rest},
        lambda: {"_target_": [target], **rest},
        lambda: {"_target_": f"${{oc.env:X,{target}}}", **rest},
        lambda: "${oc.env:SECRET}",
        lambda: "x/${oc.env:SECRET}",
        lambda: {"_target_": "torch.nn.Identity", "_recursive_": False, "x": node},
    ]
    value = ways[way % len(ways)]()
    if argument in str(value):
        config["trainer"][argument] = said
    config |= {key: kept for key, kept in referred.items() if key in str(value)}
    return value


PLACES = (
    *("trainer.profiler", "trainer.strategy", "trainer.accelerator", "trainer.precision"),
    *("trainer.logger", "trainer.callbacks", "trainer.plugins", "trainer.x", "trainer._args_"),
    *("network", "network.x", "network._args_", "network.channels", "loss", "loss.weight", "task"),
    *("task.network", "task.mix", "task.optimizer", "optimizer", "optimizer.lr", "scheduler"),
    *("data", "data.cleaning", "data.augment", "data.augment.x", "data.cache_dir", "data.name"),
    *("callbacks", "callbacks.x", "callbacks.progress", "logger", "logger.x", "logger.tensorboard"),
    *("name", "seed", "monitor", "run_dir", "matmul_precision", "deterministic", "x.y.z"),
    *("logger.tensorboard.save_dir", "logger.tensorboard.name", "callbacks.history.filename"),
)


def crafted(seed, good):
    """Put one or two traps into a copy of a good config."""
    draw = random.Random(f"{SEED}{seed}")
    config = copy.deepcopy(good)
    for _ in range(draw.choice([1, 1, 2])):
        value = hidden(draw, config, harmful(draw), way=seed)
        # Most arguments of a command's own are the trainer's.
        place = draw.choice(PLACES) if draw.random() < 0.7 else "trainer.profiler"
        *groups, key = place.split(".")
        node = config
        for group in groups:
            if not isinstance(node.get(group), dict):
                node[group] = {}
            node = node[group]
        merges = draw.random() < 0.2 and isinstance(value, dict) and isinstance(node.get(key), dict)
        node[key] = node[key] | value if merges else value
    return config


def put(command, config, run, seed):
    """Write a run with this config, as an attacker would."""
    best = run / "checkpoints" / "best.ckpt"
    content = torch.load(best, weights_only=True)
    content["leyden"]["config"] = config
    text = yaml.safe_dump(config, sort_keys=False)
    (run / "config.yaml").write_text(text)
    if command == "crossval":
        (run / "crossval.json").write_text('{"folds": 2, "repeats": 1, "jobs": 1}')
    if command == "consolidate" or seed % 5 == 0:  # as several ranks write it
        best.unlink()
        (best / "shards-0").mkdir(parents=True)
        content["shards"] = {"folder": "shards-0", "checksums": {}}
        torch.save(content, best / "meta.pt")
    else:
        torch.save(content, best)


@pytest.mark.parametrize("command", COMMANDS)
def test_untrusted_code_is_not_run(command, victim, shared_run, leyden, watched):
    good = torch.load(shared_run / "checkpoints" / "best.ckpt", weights_only=True)
    good = good["leyden"]["config"]
    image = victim / "image.png"
    words = {"predict": [f"input={image}"], "consolidate": ["to=whole.ckpt"]}.get(command, [])
    shutil.copy(
        shared_run / "checkpoints" / "best.ckpt", image
    )  # no image: an error, but a late one
    leyden(command, f"run={shared_run}", *words)  # what any first command makes
    before = set(victim.iterdir())
    refused = 0
    start = COMMANDS.index(command) * CONFIGS
    for seed in range(start, start + CONFIGS):
        run = shutil.copytree(shared_run, victim / "run")
        put(command, crafted(seed, good), run, seed)
        watched.clear()

        done = leyden(command, f"run={run}", *words)

        assert done.code in (0, 2), done.err
        refused += done.code == 2
        said = [line for line in done.err.splitlines() if line.startswith("leyden: ")]
        assert len(said) == (done.code == 2), done.err
        assert SECRET not in done.out + done.err
        inside = (
            f"{run}/",
            f"{victim}/whole",
            os.environ["LEYDEN_CACHE"],
            "/dev/",
            "/proc/self/clear_refs",
        )
        outside = [
            event
            for event in watched
            if event[0] not in ("open", "os.mkdir") or not str(event[1]).startswith(inside)
        ]
        assert outside == [], crafted(seed, good)
        shutil.rmtree(run)
        (victim / "whole.ckpt").unlink(missing_ok=True)
        assert set(victim.iterdir()) == before
    assert refused > CONFIGS / 2 or command == "consolidate"


def linked(config):
    """Name one class when it is checked, and another when a command has given its own strategy."""
    config["choices"] = {"ddp": "torch.nn.Identity", "auto": "os.system"}
    config["trainer"]["strategy"] = "ddp"
    config["trainer"]["profiler"] = {
        "_target_": "${choices.${..strategy}}",
        "command": "touch MARK",
    }


def escaped(config):
    """Evaluate to a text when it is checked, and to a node when it is built."""
    node = "{_target_: logging.FileHandler, filename: MARK}"
    config["trainer"]["profiler"] = f"\\${{oc.create:{node}}}"


@pytest.mark.parametrize("command", ["evaluate", "train"])
@pytest.mark.parametrize("trap", [linked, escaped])
def test_untrusted_code_is_not_run_in_a_process(command, trap, shared_run, leyden_process, victim):
    run = shutil.copytree(shared_run, victim / "run")
    config = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["leyden"]["config"]
    trap(config)
    put(command, config, run, seed=1)

    done = leyden_process(command, f"run={run}", cwd=victim)

    assert done.code == 2
    assert "only links such as ${seed} are allowed" in done.err
    assert done.err.count("\n") == 1
    assert not (victim / "MARK").exists()


def test_a_config_cannot_choose_where_to_write(shared_run, leyden, victim):
    run = shutil.copytree(shared_run, victim / "run")
    config = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["leyden"]["config"]
    config["data"]["cache_dir"] = str(victim / "MARK")
    config["trainer"]["max_epochs"] = 3
    put("train", config, run, seed=1)

    assert leyden("evaluate", f"run={run}").code == 0
    assert leyden("train", f"run={run}").code == 0
    assert not (victim / "MARK").exists()
    assert leyden("evaluate", f"run={run}", f"data.cache_dir={victim}/MARK").code == 0
    assert (victim / "MARK").exists()


@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_a_config_that_gives_lightning_another_root_is_refused(command, shared_run, leyden, victim):
    run = shutil.copytree(shared_run, victim / "run")
    config = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["leyden"]["config"]
    config["trainer"]["default_root_dir"] = str(victim / "MARK")
    put("train", config, run, seed=1)

    done = leyden(command, f"run={run}")

    assert done.code == 2
    assert "trainer.default_root_dir: a run fills this in" in done.err
    assert not (victim / "MARK").exists()


@pytest.mark.parametrize(
    "name",
    [
        *("train.log", "run.lock", "metrics.csv", "config.yaml.unfinished"),
        *("status.json.unfinished", "checkpoints/last.ckpt", "checkpoints/best.ckpt.unfinished"),
    ],
)
def test_links_out_of_a_run_folder_are_refused(name, shared_run, leyden, victim):
    run = shutil.copytree(shared_run, victim / "run")
    precious = victim / "precious"
    precious.write_text("precious")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(precious)

    done = leyden("train", f"run={run}", "trainer.max_epochs=3")

    assert done.code == 2
    assert f"{run / name} is a link to {precious}" in done.err
    assert precious.read_text() == "precious"


def test_links_within_a_run_folder_are_accepted(shared_run, leyden, victim):
    run = shutil.copytree(shared_run, victim / "run")
    (run / "newest.csv").symlink_to("metrics.csv")

    assert leyden("train", f"run={run}").code == 0


def test_pipes_are_not_waited_for(shared_run, leyden, victim):
    run = shutil.copytree(shared_run, victim / "run")
    best = run / "checkpoints" / "best.ckpt"
    best.unlink()
    os.mkfifo(best)

    for words in (["evaluate"], ["train", "trainer.max_epochs=3"], ["consolidate"]):
        done = leyden(*words, f"run={run}")

        assert done.code == 2
        assert "not a file" in done.err or "neither a file nor a folder" in done.err


def test_consolidate_does_not_write_through_links(victim):
    precious = victim / "precious"
    precious.write_text("precious")
    (victim / "whole.ckpt.unfinished").symlink_to(precious)

    SafeCheckpointIO().save_checkpoint({}, victim / "whole.ckpt")

    assert precious.read_text() == "precious"


def test_class_names_that_multiply_are_refused_immediately(shared_run, leyden, victim):
    run = shutil.copytree(shared_run, victim / "run")
    best = run / "checkpoints" / "best.ckpt"
    content = torch.load(best, weights_only=True)
    bomb = ["a"]
    for _ in range(40):
        bomb = [bomb, bomb]
    content["leyden"]["data"]["class_names"] = bomb
    torch.save(content, best)

    done = leyden("evaluate", f"run={run}")

    assert done.code == 2
    assert "'class_names[0]' is a list, not a str" in done.err


@pytest.mark.parametrize(
    ("key", "node", "words"),
    [
        ("logger.x", {"_target_": f"{LOGGERS}.CSVLogger", "save_dir": "MARK"}, ["logger=[]"]),
        ("logger.x", {"_target_": f"{LOGGERS}.CSVLogger", "save_dir": "MARK"}, ["logger.x=null"]),
        ("trainer.profiler", {"_target_": f"{LOGGERS}.MLFlowLogger"}, ["trainer=cpu"]),
        ("trainer.profiler", {"_target_": f"{PROFILERS}.SimpleProfiler", "dirpath": "MARK"}, []),
    ],
)
def test_users_may_choose_what_writes_elsewhere(key, node, words, shared_run, leyden, victim):
    run = shutil.copytree(shared_run, victim / "run")
    config = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["leyden"]["config"]
    group, name = key.split(".")
    config[group][name] = node
    put("train", config, run, seed=1)

    refused = leyden("train", f"run={run}")

    assert refused.code == 2
    assert f"{key}: {node['_target_']} may write outside the run folder" in refused.err
    assert leyden("evaluate", f"run={run}").code == 0  # which builds nothing of the kind
    if words:
        done = leyden("train", f"run={run}", *words, "callbacks=[]", "trainer.max_epochs=3")
        assert done.code == 0, done.err
    assert not (victim / "MARK").exists()
