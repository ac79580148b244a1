"""``python -m leyden``, which is the same as ``leyden``."""

import sys

from leyden.cli.main import main

sys.exit(main())
