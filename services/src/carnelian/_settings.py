"""Where the data plane and the policies are, from a binding, a URL, the environment or keyword arguments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from carnelian._link import Target
from carnelian._policy.identity import Identity
from carnelian.errors import ConfigurationError

BINDING, URL, ROOT, POLICIES = "CARNELIAN_BINDING", "CARNELIAN_URL", "SERVICE_BINDING_ROOT", "CARNELIAN_POLICIES"

URL_FORMS = (
    "redis://[user:password@]host[:port][/db], redis+sentinel://[user:password@]host:port,…/master-name "
    "or redis+cluster://[user:password@]host:port,…"
)
_SCHEMES = {"redis": "standalone", "redis+sentinel": "sentinel", "redis+cluster": "cluster"}
_REMEDIES = {
    "type": "this library speaks to bindings of type redis",
    "mode": "use standalone, sentinel or cluster",
    "port": "use a number from 1 to 65535",
    "db": "use the number of a database, 0 or more",
    "sentinels": "write them as host:port,host:port",
    "nodes": "write them as host:port,host:port",
}


def _addresses(text: Any) -> Any:
    """``host:port,host:port`` as pairs."""
    if not isinstance(text, str):
        return text
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        host, colon, port = part.rpartition(":")
        if not colon or not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise ValueError(f"{part!r} is not host:port")
        pairs.append((host.removeprefix("[").removesuffix("]"), int(port)))
    return tuple(pairs)


Addresses = Annotated[tuple[tuple[str, int], ...], BeforeValidator(_addresses)]


class Binding(BaseModel):
    """The keys of a Service Binding directory; a URL is read into the same."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"), extra="ignore", frozen=True)

    type: Literal["redis"] = "redis"
    mode: Literal["standalone", "sentinel", "cluster"] = "standalone"
    host: str = ""
    port: Annotated[int, Field(ge=1, le=65535)] = 6379
    username: str = ""
    password: SecretStr = SecretStr("")
    db: Annotated[int, Field(ge=0)] = 0
    sentinels: Addresses = ()
    master_name: str = ""
    sentinel_username: str = ""
    sentinel_password: SecretStr = SecretStr("")
    nodes: Addresses = ()

    def target(self) -> Target:
        """What the link connects to.

        Raises:
            ConfigurationError: something that the mode needs is missing.
        """
        user, password = self.username, self.password.get_secret_value()
        if self.mode == "sentinel":
            if not self.sentinels or not self.master_name:
                raise ConfigurationError("mode sentinel needs both sentinels (host:port,…) and master-name")
            return Target.sentinel(
                self.sentinels,
                self.master_name,
                username=user,
                password=password,
                sentinel_username=self.sentinel_username,
                sentinel_password=self.sentinel_password.get_secret_value(),
                db=self.db,
            )
        if self.mode == "cluster":
            nodes = self.nodes or (((self.host, self.port),) if self.host else ())
            if not nodes:
                raise ConfigurationError("mode cluster needs nodes (host:port,…) or host")
            return Target.cluster(nodes, username=user, password=password)
        if not self.host:
            raise ConfigurationError("mode standalone needs host")
        return Target.standalone(self.host, self.port, username=user, password=password, db=self.db)


@dataclass(frozen=True)
class Settings:
    """Everything that a `Carnelian` is made from."""

    target: Target
    policies: Path | None = None
    """A file or folder of resources to start with."""
    identity: Identity = field(default_factory=Identity)
    check_seconds: float = 0.5
    """How long a check waits for the data plane before the policy's `onUnavailable` answers."""
    policy_seconds: float = 2.0
    """How long after the start a check waits for a policy that is not known yet."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings of a process: `CARNELIAN_BINDING`, else `CARNELIAN_URL`, else `SERVICE_BINDING_ROOT`.

        Raises:
            ConfigurationError: none of them says where the data plane is, or one says something unusable.
        """
        if path := environ.get(BINDING):
            target = target_from_binding(Path(path), BINDING)
        elif url := environ.get(URL):
            target = target_from_url(url, URL)
        elif root := environ.get(ROOT):
            target = target_from_binding(_only_binding(Path(root)), ROOT)
        else:
            raise ConfigurationError(
                f"nothing says where the data plane is: set {BINDING} to the folder of the mounted binding Secret, "
                f"{URL} to a URL such as redis://localhost:6379, or {ROOT} to a folder of bindings"
            )
        policies = environ.get(POLICIES)
        return cls(target, Path(policies) if policies else None, identity_from_environ(environ))


def identity_from_environ(environ: Mapping[str, str]) -> Identity:
    """Who this process is, by the variables that a pod sets from its own metadata."""
    namespace = environ.get("POD_NAMESPACE", "")
    pod = environ.get("POD_NAME") or environ.get("HOSTNAME")
    return Identity(pod, namespace) if pod else Identity(namespace=namespace)


def target_from_binding(path: Path, origin: str = "binding") -> Target:
    """The data plane that a Service Binding directory describes; `origin` names it in errors.

    Raises:
        ConfigurationError: the directory or one of its files is not usable.
    """
    where = f"{origin}={str(path)!r}"
    try:
        values = {
            file.name: file.read_text(encoding="utf-8").strip("\r\n")
            for file in path.iterdir()
            if file.is_file() and not file.name.startswith(".")
        }
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError(
            f"{where}: cannot be read ({reason}); mount the instance's binding Secret there"
        ) from None
    if "host" not in values and "sentinels" not in values and "uri" in values:
        return target_from_url(values["uri"], f"{where}: uri")
    return _target(values, where)


def target_from_url(url: str, origin: str = "url") -> Target:
    """The data plane that a URL names; `origin` names it in errors, which never show the URL's password.

    Raises:
        ConfigurationError: the URL is not one of the three forms.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # its message may hold the password
        raise ConfigurationError(f"{origin}: cannot be read as a URL; write {URL_FORMS}") from None
    if parts.scheme not in _SCHEMES:
        raise ConfigurationError(f"{origin}: scheme {parts.scheme!r} is not supported; write {URL_FORMS}")
    mode = _SCHEMES[parts.scheme]
    queried = mode == "sentinel" and parse_qsl(parts.query)
    if "@" in parts.path + parts.fragment + ("" if queried else parts.query) and "@" not in parts.netloc:
        raise ConfigurationError(f"{origin}: write / ? and # in the user and the password as %2F, %3F and %23")
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    values: dict[str, Any] = {"mode": mode, "username": unquote(user), "password": unquote(password)}
    path = unquote(parts.path.strip("/"))
    if mode == "sentinel":
        values |= {"sentinels": hosts, "master-name": path} | dict(parse_qsl(parts.query))
    elif mode == "cluster":
        values["nodes"] = hosts
    else:
        values |= {"db": path or "0"} | _host_and_port(hosts)
    return _target(values, origin)


def _host_and_port(text: str) -> dict[str, str]:
    if text.endswith("]") or ":" not in text:
        return {"host": text.strip("[]")}
    host, _, port = text.rpartition(":")
    return {"host": host.strip("[]"), "port": port}


def _target(values: Mapping[str, Any], where: str) -> Target:
    try:
        return Binding.model_validate(values).target()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = str(first["loc"][0])
        secret = "password" in key
        value = "" if secret else f" {first['input']!r}:"
        remedy = _REMEDIES.get(key, "use plain text")
        raise ConfigurationError(
            f"{where}: {key}:{value} {first['msg'].removeprefix('Value error, ')}; {remedy}"
        ) from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _only_binding(root: Path) -> Path:
    """The one binding of type redis below a root.

    Raises:
        ConfigurationError: there is none, or several.
    """
    found = sorted(file.parent for file in root.glob("*/type") if file.read_text(encoding="utf-8").strip() == "redis")
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigurationError(
            f"{ROOT}={str(root)!r}: has no folder with a file `type` that says redis; "
            "mount the instance's binding Secret there"
        )
    names = ", ".join(path.name for path in found)
    raise ConfigurationError(
        f"{ROOT}={str(root)!r}: has several bindings of type redis ({names}); choose with {BINDING}"
    )
