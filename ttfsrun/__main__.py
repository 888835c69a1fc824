"""`python -m ttfsrun` is `ttfsrun`."""

import sys

from ttfsrun.cli.main import main

sys.exit(main())
