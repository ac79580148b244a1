import pytest


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("matmul_precision=hihg", "matmul_precision=hihg is unknown. Did you mean 'high'"),
        ("seed=-1", "seed: expected 0 to 4294967295, got -1"),
        ("task._partial_=false", "lacks required arguments"),
        ("network._partial_=false", "lacks required arguments"),
        ("loss={_target_: leyden.networks.linear.Linear, _partial_: true}", None),
        ("task={_target_: torch.nn.MSELoss}", None),
    ],
)
def test_what_cannot_be_set_up_is_refused(word, expected, leyden):
    refused = leyden("train", "network=linear", "trainer.max_epochs=1", word)

    assert refused.code == 2
    assert expected is None or expected in refused.err


def test_clipping_what_a_fused_optimizer_scales_itself_is_refused(leyden):
    words = ("network=linear", "trainer.gradient_clip_val=1", "trainer.max_epochs=1")

    refused = leyden("train", *words, "trainer.precision=16-mixed")
    done = leyden("train", *words, "trainer.precision=bf16-mixed")

    assert refused.code == 2
    assert "Give optimizer.fused=false" in refused.err
    assert done.code == 0, done.err
