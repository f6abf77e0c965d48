"""`python -m tl_runtime`, the same as `tl-runtime`."""

import sys

from tl_runtime.command import main

if __name__ == "__main__":
    sys.exit(main())
