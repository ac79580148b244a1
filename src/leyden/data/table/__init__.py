"""Tables: numbers as float64 and categories as codes in the cache, float32 for the network."""
