"""`python -m ttfsrun` is `ttfsrun`."""

import os
import sys

if sys.path[0] == os.getcwd():  # noqa: PTH109  # imports nothing yet
    del sys.path[0]  # where `python -m` would import a random.py of the user

from ttfsrun.cli.main import main

sys.exit(main())
