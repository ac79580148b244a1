"""``leyden explain``: what it prints."""

import pytest


def test_without_a_key_it_says_how_to_use_it(leyden):
    done = leyden("explain")

    assert done.code == 0
    assert done.out.startswith("usage: leyden explain KEY")


def test_a_key(leyden):
    done = leyden("explain", "data.seed", "seed=3")

    assert done.code == 0, done.err
    assert done.out.startswith("data.seed = ${seed} = 3\n")
    assert "  conf/data/_base.yaml:8  ${seed}  # seed of the batch order" in done.out
    assert "  command line        seed=3\n" in done.out
    assert "type     an int\n" in done.out


def test_a_group(leyden):
    done = leyden("explain", "optimizer", "optimizer=sgd")

    assert "  conf/train.yaml:7  adamw\n" in done.out
    assert "\n  * sgd      SGD with Nesterov momentum" in done.out
    assert "\n    adamw  " in done.out


def test_networks_by_whether_they_fit_the_data(leyden):
    done = leyden("explain", "network", "data=table", "data.path=x.csv", "data.target=y")

    assert done.code == 0, done.err
    fitting, _, other = done.out.partition("options for other data:\n")
    assert "\n  * table_mlp  " in fitting.partition("options that take what these data give:")[2]
    assert "quartznet  " in other


def test_a_key_that_conf_does_not_set(leyden):
    done = leyden("explain", "trainer.val_check_interval")

    assert "To set it, give +trainer.val_check_interval=VALUE.\n" in done.out


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["optimizer.lr", "-m", "optimizer.lr=0.1,0.2", "seed=0,1"], "optimizer.lr = 0.1,0.2"),
        (["seed", "seeds=3", "retries=1"], "seed = 0,1,2"),
        (["network", "-m", "network=cnn,resnet"], "network = cnn,resnet"),
        (["trainer.max_epochs", "-m", "network=cnn,resnet"], "trainer.max_epochs = 30"),
    ],
)
def test_the_values_of_a_sweep(words, value, leyden):
    done = leyden("explain", *words)

    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == value


def test_a_key_of_a_run(leyden, shared_run):
    done = leyden("explain", "trainer.max_epochs", f"run={shared_run}", "trainer.max_epochs=9")

    assert done.code == 0, done.err
    assert done.out.startswith("trainer.max_epochs = 9\n")
    assert f"{shared_run}/config.yaml:" in done.out
    assert "command line  " in done.out


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["seed=1"], "No key is named"),
        (["seed", "network"], "seed network are 2 keys"),
        (["optimizer.lrr"], "Did you mean 'optimizer.lr'?"),
        (["optimizer.lr", "network=nothing"], "The group network has no option 'nothing'"),
    ],
)
def test_faults(words, fault, leyden):
    done = leyden("explain", *words)

    assert done.code == 2
    assert fault in done.err


def test_torch_is_not_imported(leyden_process, tmp_path):
    done = leyden_process("explain", "network", cwd=tmp_path, options=("-X", "importtime"))

    assert done.code == 0, done.err
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert "leyden.config.explain" in imported
    assert not {"torch", "lightning", "numpy"} & imported
