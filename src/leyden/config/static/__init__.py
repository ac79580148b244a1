"""What a target is, found out without importing it."""
