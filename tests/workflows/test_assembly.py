import pytest


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("matmul_precision=hihg", "matmul_precision=hihg is unknown. Did you mean 'high'"),
        ("task._partial_=false", "lacks required arguments"),
        ("network._partial_=false", "lacks required arguments"),
        ("task=regression", "task=regression learns numbers"),
        ("trainer.accumulate_grad_batches=0", "accumulate_grad_batches: expected at least 1"),
        ("trainer.gradient_clip_val=-1", "gradient_clip_val: expected at least 0, got -1"),
        ("trainer.check_val_every_n_epoch=0", "check_val_every_n_epoch: expected at least 1"),
        ("+trainer.val_check_interval=0", "val_check_interval: expected at least"),
        ("+trainer.val_check_interval=100", "trainer:  `val_check_interval` (100) must be"),
        ("callbacks.early_stopping.patience=-1", "patience must be at least 0"),
        ("callbacks.checkpoint.save_top_k=0", "save_top_k must be at least 1"),
        ("+scheduler.total_steps=3", "scheduler: Tried to step 4 times"),
        ("loss={_target_: leyden.networks.linear.Linear, _partial_: true}", None),
        ("task={_target_: torch.nn.MSELoss}", None),
    ],
)
def test_unsupported_settings_are_refused(word, expected, leyden):
    refused = leyden("train", "network=linear", "trainer.max_epochs=1", word)

    assert refused.code == 2
    assert expected is None or expected in refused.err


@pytest.mark.parametrize("cache", [".", "pets", "pets/cache"])
def test_a_cache_among_the_files_of_the_data_is_refused(cache, leyden, tmp_path):
    (tmp_path / "pets" / "cat").mkdir(parents=True)

    refused = leyden("train", "data=image_folder", "data.root=pets", f"data.cache_dir={cache}")

    assert refused.code == 2
    assert "the folder of its own cache" in refused.err
    assert [each.name for each in (tmp_path / "pets").iterdir()] == ["cat"]


def test_clipping_with_a_fused_optimizer_in_float16_is_refused(leyden):
    words = ("network=linear", "trainer.gradient_clip_val=1", "trainer.max_epochs=1")

    refused = leyden("train", *words, "trainer.precision=16-mixed")
    done = leyden("train", *words, "trainer.precision=bf16-mixed")

    assert refused.code == 2
    assert "Give optimizer.fused=false" in refused.err
    assert done.code == 0, done.err


def test_sizes_of_the_data_cannot_be_set_in_the_config(leyden):
    refused = leyden("train", "network=linear", "+network.num_outputs=3")

    assert refused.code == 2
    assert "network.num_outputs: this key is set by the data" in refused.err


@pytest.mark.parametrize("word", ["callbacks=null", "callbacks.summary=null"])
def test_lightning_does_not_replace_omitted_callbacks(word, leyden):
    done = leyden("train", "network=linear", "trainer.max_epochs=1", word)

    assert done.code == 0
    assert "FLOPs" not in done.out + done.err
    assert "it/s" not in done.out + done.err
