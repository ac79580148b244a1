"""Texts: UTF-8 bytes in the cache, ``(batch, length)`` int64 token ids for the network."""
