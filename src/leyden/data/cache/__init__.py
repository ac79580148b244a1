"""How prepared rows are kept on disk."""
