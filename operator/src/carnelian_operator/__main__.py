"""`python -m carnelian_operator`."""

import sys

from carnelian_operator.cli import main

sys.exit(main())
