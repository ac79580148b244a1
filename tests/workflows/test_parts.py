def test_clipping_what_a_fused_optimizer_scales_itself_is_refused(leyden):
    words = ("network=linear", "trainer.gradient_clip_val=1", "trainer.max_epochs=1")

    refused = leyden("train", *words, "trainer.precision=16-mixed")
    done = leyden("train", *words, "trainer.precision=bf16-mixed")

    assert refused.code == 2
    assert "Give optimizer.fused=false" in refused.err
    assert done.code == 0, done.err
