"""``python -m leyden``, which is the same as ``leyden``."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the current directory, from which a command imports only a project

from leyden.cli.main import main

sys.exit(main())
