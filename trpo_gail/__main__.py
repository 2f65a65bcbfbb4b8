"""`python -m trpo_gail`: the command line, for when its script is not on the PATH."""

import sys

from trpo_gail.cli import main

if __name__ == "__main__":
    sys.exit(main())
