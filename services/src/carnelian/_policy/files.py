"""Policies from files, as one would `kubectl apply` them: for work without Kubernetes, or as a copy to start with."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

from carnelian._policy.snapshot import Held, Kinds, Snapshot, explain, read
from carnelian.errors import ConfigurationError
from carnelian.policies.wire import SCHEMA, Document, content_hash

GROUP = "carnelian.dev/"
SUFFIXES = (".yaml", ".yml", ".json")


def load(path: Path, kinds: Kinds) -> Snapshot:
    """The policies in a file, or in all ``.yaml``, ``.yml`` and ``.json`` files of a folder.

    Other resources are passed over, so the folder may be the one that is applied to a cluster.

    Raises:
        ConfigurationError: a file cannot be read, or a policy in it is not valid.
    """
    held: dict[str, Held] = {}
    for file in _files(path):
        for resource in _resources(_parse(file)):
            if not str(resource.get("apiVersion", "")).startswith(GROUP) or resource.get("kind") not in kinds:
                continue
            document = _document(resource, file)
            try:
                held[document.field] = read(document, kinds)
            except ValueError as error:
                raise ConfigurationError(f"{file}: {document.field}: {explain(error)}") from None
    return Snapshot(held=MappingProxyType(held))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
    if path.is_file():
        return [path]
    raise ConfigurationError(f"policies: {str(path)!r} is neither a file nor a folder; name one that exists")


def _parse(file: Path) -> Iterable[Any]:
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            return [json.loads(text)]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: cannot be read as JSON: {error}") from None
    try:
        import yaml  # noqa: PLC0415  # an extra: only those who keep policies in YAML files need it
    except ImportError:
        raise ConfigurationError(f"{file}: YAML needs the extra: pip install 'carnelian[yaml]', or use JSON") from None
    try:
        return list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file}: cannot be read as YAML: {error}") from None


def _resources(parsed: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for item in parsed:
        if isinstance(item, dict) and item.get("kind") == "List":
            yield from _resources(item.get("items") or [])
        elif isinstance(item, dict):
            yield item


def _document(resource: dict[str, Any], file: Path) -> Document:
    metadata, spec = resource.get("metadata"), resource.get("spec")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not isinstance(spec, dict):
        raise ConfigurationError(f"{file}: a {resource['kind']} needs metadata.name and spec, as on a cluster")
    body = {key: value for key, value in spec.items() if key != "clusterRef"}
    return Document(
        schema=SCHEMA, kind=resource["kind"], name=name, generation=0, epoch=0, hash=content_hash(body), body=body
    )
