"""Sound: ``(batch, samples)`` int16 in the cache, a log-mel spectrogram for the network."""
