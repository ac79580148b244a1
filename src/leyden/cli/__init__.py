"""The command line: one module per command, which imports what is slow only when it needs it."""
