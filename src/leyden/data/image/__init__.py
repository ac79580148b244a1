"""Images: ``(batch, channels, height, width)``, uint8 in the cache, float32 for the network."""
