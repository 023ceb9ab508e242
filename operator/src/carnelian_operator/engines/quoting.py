"""Values on their way into a configuration file. All of them are hostile until they came through here."""

import re

_PLAIN = re.compile(r"[A-Za-z0-9._:/@+-]+")


def quote(value: str | int) -> str:
    """The value as one word of a configuration line, in the servers' own quoting.

    Raises:
        ValueError: the value holds a control character, which no directive of ours needs.
    """
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    if not text.isprintable():
        raise ValueError(f"{text!r} holds a control character; remove it")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
