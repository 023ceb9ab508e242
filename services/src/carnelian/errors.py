"""Every error the library raises, in one small tree."""


class CarnelianError(Exception):
    """Base of all errors of this library."""


class ConfigurationError(CarnelianError):
    """The environment, a file or an argument does not describe a usable connection or policy."""


class UnavailableError(CarnelianError):
    """The data plane could not be reached, or did not take the command; it may be asked again."""


class DeadlineError(UnavailableError, TimeoutError):
    """The answer did not arrive in time. A write may or may not have been carried out."""


class AuthError(UnavailableError):
    """The server refused the user or its password; they are being rotated, or the binding is wrong."""


class ServerError(CarnelianError):
    """The server refused the command itself; asking again gives the same answer.

    `code` is the first word of the server's reply, such as ``WRONGTYPE``.
    """

    def __init__(self, message: str, code: str = "ERR") -> None:
        super().__init__(message)
        self.code = code


class DurabilityError(UnavailableError):
    """The write was carried out, but too few replicas confirmed it in time."""


class PolicyError(CarnelianError):
    """No policy of that name and kind is known, or this version of the library cannot read it."""


class RateLimitedError(CarnelianError):
    """The limiter refused; `verdict` says which rule did and when to come back."""

    def __init__(self, verdict: object) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict
