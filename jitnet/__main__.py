"""python -m jitnet: the same as the command jitnet."""

import sys

from .cli import main

sys.exit(main())
