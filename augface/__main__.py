"""`python -m augface`: the command line, as `torchrun -m augface` and `accelerate launch -m augface` start it."""

import sys

from augface.cli import main

if __name__ == "__main__":
    sys.exit(main())
