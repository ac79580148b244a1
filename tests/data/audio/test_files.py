import numpy as np
import pytest
import soundfile

from leyden.data.audio.files import SOUND_FILES, fitted, read_sound, resampled
from leyden.data.rows import UnreadableError

RATE = 16000

CONTAINERS = {
    ".aif": {"format": "AIFF"},
    ".oga": {"format": "OGG"},
    ".opus": {"format": "OGG", "subtype": "OPUS"},
}
"""What soundfile does not know by the suffix when it writes."""


def read(path, *, seconds=0.5):
    return fitted(
        read_sound(path, sample_rate=RATE, seconds=seconds), sample_rate=RATE, seconds=seconds
    )


def tone(hertz, *, seconds=0.5, loudness=0.5):
    return loudness * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def error_of(got, expected):
    """Largest difference but for both ends, where resampling looks beyond the sound."""
    return np.abs(got / 2**15 - expected)[200:-200].max()


@pytest.mark.parametrize("suffix", SOUND_FILES.suffixes)
def test_every_format_is_read(tmp_path, sing, suffix):
    clip = read(sing(tmp_path / f"a{suffix}", **CONTAINERS.get(suffix, {})))

    assert (clip.shape, clip.dtype) == ((8000,), np.int16)
    spectrum = np.abs(np.fft.rfft(clip / 2**15))
    assert spectrum.argmax() == 220  # 440 Hz in steps of 2 Hz
    assert clip.max() / 2**15 == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW"])
def test_every_sample_format_is_read(tmp_path, sing, subtype):
    clip = read(sing(tmp_path / "a.wav", subtype=subtype))

    assert error_of(clip, tone(440)) < 0.03


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 44101])
def test_every_rate_is_resampled(tmp_path, sing, rate):
    clip = read(sing(tmp_path / "a.wav", rate=rate))

    assert error_of(clip, tone(440)) < 2e-3


def test_frequencies_that_the_new_rate_can_not_hold_do_not_fold_back(tmp_path, sing):
    clip = read(sing(tmp_path / "a.wav", hertz=12000, rate=44100))

    assert np.abs(clip / 2**15)[200:-200].max() < 5e-3


def test_channels_are_averaged(tmp_path):
    left, right = tone(440), tone(880)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), RATE)

    assert error_of(read(tmp_path / "a.wav"), (left + right) / 2) < 1e-4


def test_long_files_are_cut_to_their_middle_and_short_ones_padded(tmp_path):
    soundfile.write(tmp_path / "ramp.wav", np.arange(1001, dtype=np.int16), RATE)

    cut, padded = (read(tmp_path / "ramp.wav", seconds=n / RATE) for n in (101, 1005))

    assert cut.tolist() == list(range(450, 551))
    assert padded.tolist() == [0, 0, *range(1001), 0, 0]


def test_the_middle_is_the_same_as_that_of_the_whole_file(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
    soundfile.write(tmp_path / "a.flac", noise, RATE)

    whole = resampled(read_sound(tmp_path / "a.flac", sample_rate=RATE), sample_rate=RATE)

    assert np.array_equal(read(tmp_path / "a.flac", seconds=0.5), whole[12000:20000])


def test_a_cut_sounds_to_both_of_its_ends(tmp_path, sing):
    clip = read(sing(tmp_path / "a.wav", hertz=441, rate=44100, seconds=3.0))

    middle = np.sin(2 * np.pi * 441 * (1.25 + np.arange(8000) / RATE)) / 2
    assert np.abs(clip / 2**15 - middle).max() < 0.03


def test_what_is_too_loud_is_clipped_not_wrapped(tmp_path, sing):
    clip = read(sing(tmp_path / "a.wav", loudness=1.5, subtype="FLOAT"))

    assert (clip.max(), clip.min()) == (32767, -32768)


def test_a_sound_knows_its_length_loudness_and_clipping(tmp_path, sing):
    soft = read_sound(sing(tmp_path / "a.wav", seconds=2.0), sample_rate=RATE, seconds=0.5)
    loud = read_sound(sing(tmp_path / "b.wav", loudness=2.0), sample_rate=RATE, seconds=0.5)

    assert soft.seconds == 2.0
    assert soft.peak == pytest.approx(0.5, abs=1e-3)
    assert soft.clipped == 0
    assert loud.clipped == pytest.approx(2 / 3, abs=0.01)  # |sin| > 1/2


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


@pytest.mark.parametrize(
    ("suffix", "share", "reason"),
    [
        (".wav", 0, "empty file"),
        (".wav", 0.5, "cut short"),
        (".flac", 0.5, "."),
        (".ogg", 0.2, "malformed"),
        (".ogg", 0.7, "cut short"),
        (".ogg", 0.95, "cut short"),
        (".wav", 0.001, "."),
    ],
)
def test_torn_files_are_unreadable(tmp_path, sing, suffix, share, reason):
    path = cut(sing(tmp_path / f"a{suffix}", seconds=10.0), share)

    with pytest.raises(UnreadableError, match=reason):
        read_sound(path, sample_rate=RATE)


def test_files_that_hold_no_sound_are_unreadable(tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "none.wav", np.empty(0), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), RATE, subtype="FLOAT")

    for name, reason in {
        "text.wav": "Format not recognised",
        "none.wav": "holds no samples",
        "nan.wav": "no finite numbers",
        "gone.wav": "no such file",
    }.items():
        with pytest.raises(UnreadableError, match=reason):
            read_sound(tmp_path / name, sample_rate=RATE)


def test_a_wav_that_was_written_into_a_pipe_is_whole(tmp_path, sing):
    path = sing(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)

    assert error_of(read(path), tone(440)) < 1e-4


@pytest.mark.parametrize("rate", [1, 100, 2_000_000, 2**31 - 1])
def test_rates_that_no_recorder_has_are_unreadable(tmp_path, sing, rate):
    path = sing(tmp_path / "a.wav")
    header = bytearray(path.read_bytes())
    header[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(header)

    with pytest.raises(UnreadableError, match=f"its rate of {rate} Hz is too far from"):
        read(path)
