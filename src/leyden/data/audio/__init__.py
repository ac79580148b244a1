"""Sounds: ``(batch, samples)`` int16 in the cache, log-mel spectrograms for the network."""
