"""The HTTP server of an exported network. Without torch."""
