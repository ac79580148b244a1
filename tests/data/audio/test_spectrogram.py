import numpy as np
import pytest
import torch

from leyden.data.audio.normalise import NormaliseMels
from leyden.data.audio.spectrogram import FLOOR, Spectrogram, mel_filters

RATE = 16000


def waveform(hertz, *, samples=RATE, loudness=1.0):
    tone = np.sin(2 * np.pi * hertz * np.arange(samples) / RATE)
    return torch.from_numpy((loudness * 2**14 * tone).astype(np.int16))


def centre_hertz(mels, *, fourier=512):
    """Return the frequency at which each filter peaks."""
    filters = mel_filters(mels, fourier=fourier, sample_rate=RATE, min_hertz=20, max_hertz=8000)
    return filters.argmax(axis=1) * RATE / fourier


def test_the_shape_is_that_of_an_image():
    log_mel = Spectrogram(mels=40).of(RATE)

    images = log_mel(torch.zeros(3, RATE, dtype=torch.int16))

    assert (images.shape, images.dtype) == ((3, 1, 40, 101), torch.float32)
    assert log_mel.frames(RATE) == 101


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 3000.0, 6000.0])
def test_a_tone_has_its_peak_in_the_mel_bin_of_its_frequency(hertz):
    image = Spectrogram(mels=40).of(RATE)(waveform(hertz).unsqueeze(0))[0, 0]

    nearest = np.abs(centre_hertz(40) - hertz).argmin()
    assert abs(int(image[:, 50].argmax()) - nearest) <= 1


def test_the_values_are_logarithms_of_energy():
    log_mel = Spectrogram(mels=40).of(RATE)

    loud, soft = (log_mel(waveform(1000, loudness=share).unsqueeze(0)) for share in (1.0, 0.1))

    assert (loud - soft).amax().item() == pytest.approx(np.log(100), abs=0.05)


def test_silence_is_the_floor():
    image = Spectrogram().of(RATE)(torch.zeros(1, RATE, dtype=torch.int16))

    assert torch.allclose(image, torch.tensor(FLOOR).log())


def test_frames_are_centred_on_multiples_of_the_hop():
    click = torch.zeros(1, RATE, dtype=torch.int16)
    click[0, 80 * 160] = 20000

    image = Spectrogram().of(RATE)(click)[0, 0]

    assert int(image.sum(dim=0).argmax()) == 80


def test_silence_after_a_sound_changes_no_frame_within_it():
    log_mel = Spectrogram().of(RATE)
    short = waveform(700, samples=8000).unsqueeze(0)
    long = torch.nn.functional.pad(short, [0, 8000])

    assert torch.allclose(log_mel(short), log_mel(long)[..., : log_mel.frames(8000)], atol=1e-5)


def test_filters_have_equal_area_and_rise_in_order():
    filters = mel_filters(40, fourier=4096, sample_rate=RATE, min_hertz=0, max_hertz=8000)

    areas = filters.sum(axis=1) * RATE / 4096
    assert areas == pytest.approx(np.ones(40), rel=0.02)
    peaks = filters.argmax(axis=1) * RATE / 4096
    assert (np.diff(peaks) > 0).all()
    low, high = np.diff(peaks)[:10], np.log(peaks[1:] / peaks[:-1])[-10:]
    assert low == pytest.approx(np.full(10, low.mean()), rel=0.05)  # linear below 1 kHz
    assert high == pytest.approx(np.full(10, high.mean()), rel=0.05)  # logarithmic above


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mels": 200}, "filters lie between the bins"),
        ({"max_hertz": 9000.0}, "max <= 8000, half the sample rate, got 20 and 9000"),
        ({"min_hertz": 5000.0, "max_hertz": 4000.0}, "got 5000 and 4000"),
        ({"hop_seconds": 0.0}, "hop_seconds: expected a sample"),
        ({"window_seconds": 1e-6}, "window_seconds: expected a sample"),
    ],
)
def test_impossible_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        Spectrogram(**settings).of(RATE)


def test_normalisation_is_per_mel_and_only_centres_constant_bins():
    normalise = NormaliseMels(mean=torch.tensor([1.0, 2.0]), std=torch.tensor([2.0, 0.0]))

    image = torch.tensor([[[[3.0, 1.0], [3.0, 2.0]]]])

    assert normalise(image).tolist() == [[[[1.0, 0.0], [1.0, 0.0]]]]


@pytest.mark.parametrize(
    ("window_seconds", "samples"), [(0.025, 8000), (0.0251, 3999), (0.032, 100), (0.025, 1)]
)
@pytest.mark.parametrize("loudness", [1.0, 30000.0])
def test_matrices_compute_the_same_spectrogram(window_seconds, samples, loudness):
    log_mel = Spectrogram(window_seconds=window_seconds).of(16000)
    noise = np.random.default_rng(0).uniform(-loudness, loudness, (3, samples))
    waveforms = torch.from_numpy(noise.astype(np.int16))

    torch.testing.assert_close(
        log_mel.by_matrices()(waveforms), log_mel(waveforms), rtol=0, atol=2e-5
    )
