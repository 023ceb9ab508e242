"""Lua scripts, kept in ``.lua`` files beside the code that calls them."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Script:
    """A Lua source and its digest, as `EVALSHA` wants it."""

    name: str
    source: bytes
    sha: str


@cache
def load_script(package: str, name: str) -> Script:
    """The script in `package`'s file ``name.lua``."""
    source = files(package).joinpath(f"{name}.lua").read_bytes()
    return Script(name=name, source=source, sha=hashlib.sha1(source, usedforsecurity=False).hexdigest())
