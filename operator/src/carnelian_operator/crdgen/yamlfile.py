"""YAML as people like to read it: fields in the order given, no aliases, no sorted keys."""

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Repeats what occurs twice instead of pointing at it, and indents lists below their key."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def dump(document: Any) -> str:
    """`document` as YAML."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    return text
