"""Who this process is, as it shows in acknowledgements."""

import secrets
import socket
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Identity:
    """A library process."""

    pod: str = field(default_factory=socket.gethostname)
    namespace: str = ""
    unique: str = field(default_factory=lambda: secrets.token_hex(4))
    """Tells processes of one pod apart, and a restarted one from its predecessor."""

    @property
    def client(self) -> str:
        """The client id."""
        return f"{self.pod}-{self.unique}"
