"""What a loss file says of itself: the version of its format, and its name."""

from __future__ import annotations

from lossdsl.config.entries import place, read_scalar_value
from lossdsl.config.yaml_reader import Mapping
from lossdsl.config.yaml_scalar import Scalar
from lossdsl.diagnostics.diagnostic import Diagnostics

VERSION = "1"


def read_header(mapping: Mapping, found: Diagnostics) -> str | None:
    """Check the version where one is given; return the name, if there is one."""
    name: str | None = None
    for entry in mapping.entries:
        if entry.key.text == "lossdsl":
            value = entry.value
            if not isinstance(value, Scalar) or value.text != VERSION:
                found.add(
                    "E505",
                    f"this lossdsl knows version {VERSION} of the format, and no other",
                    place(entry),
                    help=f"write `lossdsl: {VERSION}`, or remove the line",
                )
        elif entry.key.text == "name":
            text = read_scalar_value(entry, "a name", found)
            name = None if text is None else text.text
    return name
