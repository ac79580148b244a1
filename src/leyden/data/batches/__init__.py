"""How batches are fetched from the cache."""
