"""`python -m trpo_gail`: the command line where no script is on the path."""

import sys

from trpo_gail.cli import main

if __name__ == "__main__":
    sys.exit(main())
