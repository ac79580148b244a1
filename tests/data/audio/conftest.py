import numpy as np
import pytest
import soundfile


@pytest.fixture
def sing():
    """Save a tone: ``sing(path, hertz=440, seconds=0.5, rate=16000, loudness=0.5)``."""

    def save(path, *, hertz=440.0, seconds=0.5, rate=16000, loudness=0.5, channels=1, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = loudness * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
        soundfile.write(path, np.stack([tone] * channels, axis=1), rate, **options)
        return path

    return save


@pytest.fixture
def choir(sing):
    """Save clips of two classes, low and high, no two of which are equal."""

    def save(root, *folders, count=10):
        for folder in folders or ("low", "high"):
            base = 1500 if folder.endswith("high") else 300
            for number in range(count):
                sing(root / folder / f"{number}.wav", hertz=base + 20 * number + len(folder))
        return root

    return save
