"""The command line: one file a command; what is slow to import is imported when it is needed."""
