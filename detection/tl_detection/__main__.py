"""`python -m tl_detection` is `tl`: the form that torchrun starts."""

import sys

from tl_detection.cli import main

if __name__ == "__main__":
    sys.exit(main())
