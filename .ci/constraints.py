"""Print the versions of all that this interpreter has installed, as pip constraints.

A release that does not run on the oldest Python we support is only binding where it runs.
"""

from __future__ import annotations

from importlib.metadata import Distribution, distributions

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

OLDEST, DEVELOPED = "3.10", "3.11"
LEFT_OUT = {"lossdsl", "pip"}


def line(distribution: Distribution) -> str:
    # Without the local part (`+cpu`): which build of a version is installed is the index's choice.
    pin = f"{canonicalize_name(distribution.name)}=={Version(distribution.version).public}"
    python = SpecifierSet(distribution.metadata["Requires-Python"] or "")
    return pin if f"{OLDEST}.99" in python else f'{pin}; python_version >= "{DEVELOPED}"'


print("# Exact versions for development and CI. Written by `make constraints`; do not edit.")
for text in sorted({line(d) for d in distributions() if canonicalize_name(d.name) not in LEFT_OUT}):
    print(text)
