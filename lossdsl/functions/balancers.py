"""Balancers by name: calls that take terms and weigh them. The checker writes them out."""

from __future__ import annotations

from collections.abc import Mapping

BALANCERS: Mapping[str, str] = {
    "uncertainty": "exp(-s)*a + s for each term, with a learnable logarithm of its variance s",
}
"""The name of each, and what it makes of its terms."""
