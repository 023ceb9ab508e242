"""Commands as bytes."""

from collections.abc import Callable
from typing import cast

import hiredis

from carnelian._link.api import Arg

pack = cast("Callable[[tuple[Arg, ...]], bytes]", hiredis.pack_command)
"""One command in the form that servers read; refuses arguments that are no `Arg` with `TypeError`."""
