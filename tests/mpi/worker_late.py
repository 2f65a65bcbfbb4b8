"""The command line, whose ranks have two seconds to end once their work is done."""

from __future__ import annotations

import sys

from trpo_gail import parallel
from trpo_gail.cli import main

parallel.EXIT_S = 2.0
sys.exit(main())
