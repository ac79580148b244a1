"""Data modules: rows are read, cleaned, cached, split, augmented and normalised."""
