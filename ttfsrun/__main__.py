"""`python -m ttfsrun` is `ttfsrun`."""

import sys

from ttfsrun.cli import main

sys.exit(main())
