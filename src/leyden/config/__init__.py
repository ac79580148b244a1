"""From a config to objects: what it names, whether it fits, and how it is built."""
