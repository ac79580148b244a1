"""Resolution and checks of targets from their source files, without importing them."""
