import numpy as np
import pytest
import torch

from leyden.data.audio.folder import AudioFolder
from leyden.data.audio.spectrogram import Spectrogram
from leyden.errors import UserError


def ready(root, **options):
    data = AudioFolder(name="sounds", root=str(root), seconds=0.5, batch_size=8, **options)
    data.prepare_data()
    data.setup()
    return data


def test_waveforms_are_cached_raw(tmp_path, choir):
    waveforms = ready(choir(tmp_path)).cached.arrays["waveforms"]

    assert (waveforms.shape, waveforms.dtype) == ((20, 8000), np.int16)


def test_networks_get_the_spectrogram_as_an_image(tmp_path, choir):
    data = ready(choir(tmp_path), spectrogram=Spectrogram(mels=32, hop_seconds=0.02))

    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)

    assert data.spec.network_sizes == {"input_shape": (1, 32, 26), "num_outputs": 2}
    assert batch.inputs["images"].shape == (8, 1, 32, 26)
    assert batch.inputs["images"].dtype == torch.float32


def test_training_spectrograms_have_zero_mean_and_unit_variance_per_mel(tmp_path, choir):
    data = ready(choir(tmp_path))

    waveforms = torch.from_numpy(
        np.array(data.cached.arrays["waveforms"][data.row_numbers("train")])
    )
    images = data.normalisation()["waveforms"](waveforms)

    assert images.mean(dim=(0, 1, 3)).tolist() == pytest.approx([0] * 64, abs=1e-4)
    assert images.std(dim=(0, 1, 3)).tolist() == pytest.approx([1] * 64, abs=1e-2)


def test_the_spectrogram_does_not_shape_the_cache_but_rate_and_length_do(tmp_path, choir):
    choir(tmp_path)

    paths = [
        ready(tmp_path, **options).cached.path
        for options in (
            {},
            {"spectrogram": Spectrogram(mels=20)},
            {"sample_rate": 8000},
            {"augment": {}},
        )
    ]

    assert paths[0] == paths[1] == paths[3] != paths[2]


def test_inputs_are_read_from_files_and_folders_of_any_rate(tmp_path, choir, sing):
    data = ready(choir(tmp_path / "data"))
    sing(tmp_path / "deep/b.ogg", rate=44100, seconds=3.0)
    sing(tmp_path / "a.flac", rate=8000, seconds=0.1)

    (inputs,) = data.reader().read([f"{tmp_path}/deep", f"{tmp_path}/a.flac"])

    assert inputs.names == [f"{tmp_path}/deep/b.ogg", f"{tmp_path}/a.flac"]
    waveforms = inputs.fields["waveforms"]
    assert (waveforms.shape, waveforms.dtype) == ((2, 8000), np.int16)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("missing.wav", "does not exist"),
        ("empty", "No sound found below"),
    ],
)
def test_missing_inputs_are_named(tmp_path, choir, given, message):
    data = ready(choir(tmp_path / "data"))
    (tmp_path / "empty").mkdir()

    with pytest.raises(UserError, match=message) as caught:
        data.reader().read([str(tmp_path / given)])

    assert str(tmp_path / given) in str(caught.value)


def test_inputs_that_training_would_have_dropped_are_a_warning(tmp_path, choir, sing, caplog):
    data = ready(choir(tmp_path / "data"))
    silent = sing(tmp_path / "silent.wav", loudness=0.0)
    short = sing(tmp_path / "short.wav", seconds=0.01)

    (inputs,) = data.reader().read([str(silent), str(short), str(sing(tmp_path / "good.wav"))])

    assert len(inputs.names) == 3
    assert [message.partition(": ")[0] for message in caplog.messages] == [
        f"{silent} is silent",
        f"{short} is too short",
    ]


def test_clips_of_no_length_are_refused_by_name():
    with pytest.raises(ValueError, match="seconds: expected a sample of 16000 Hz"):
        AudioFolder(name="x", root="missing", seconds=0)


def test_impossible_spectrograms_are_refused_before_anything_is_read():
    with pytest.raises(ValueError, match="half the sample rate"):
        AudioFolder(
            name="x", root="missing", sample_rate=8000, spectrogram=Spectrogram(max_hertz=8000.0)
        )
