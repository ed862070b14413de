"""What a call computed, term by term. Nothing is read from the device until it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lossdsl.backend.lower import Lowered


@dataclass(frozen=True, slots=True)
class Row:
    """One term of the last call. `share` is its part of the sum of all absolute contributions."""

    name: str
    weight: float
    raw: float
    contribution: float
    share: float
    monitored: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of the last call. Prints as a table."""

    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | str) -> Row:
        """A row by position or by the term's name."""
        if isinstance(key, int):
            return self.rows[key]
        for row in self.rows:
            if row.name == key:
                return row
        raise KeyError(key)

    @property
    def total(self) -> float:
        return sum(row.contribution for row in self.rows)

    def __str__(self) -> str:
        table = [("term", "weight", "raw", "contribution", "share")]
        for row in self.rows:
            if row.monitored:
                table.append((row.name, "", f"{row.raw:.6g}", "monitored", ""))
            else:
                numbers = (row.weight, row.raw, row.contribution)
                cells = (f"{number:.6g}" for number in numbers)
                weight, raw, contribution = cells
                table.append((row.name, weight, raw, contribution, f"{row.share:.1%}"))
        table.append(("total", "", "", f"{self.total:.6g}", ""))
        widths = [max(len(row[i]) for row in table) for i in range(5)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """The terms' values as the graph returned them."""

    lowered: Lowered
    raws: Tensor | tuple[Tensor, ...]
    weights: Tensor | None

    def _weight(self, index: int) -> Tensor | float:
        weight = self.lowered.weights[index]
        if self.lowered.moving[index]:
            assert self.weights is not None
            return self.weights[int(weight)]
        return weight

    def contributions(self) -> dict[str, Tensor]:
        """Name to weighted value; together they are the loss."""
        lowered = self.lowered
        return {
            name: self.raws[i] * self._weight(i)
            for i, name in enumerate(lowered.names)
            if not lowered.monitored[i]
        }

    def monitors(self) -> dict[str, Tensor]:
        lowered = self.lowered
        return {name: self.raws[i] for i, name in enumerate(lowered.names) if lowered.monitored[i]}

    def report(self) -> Report:
        """Read everything at once."""
        joined = self.raws if isinstance(self.raws, Tensor) else torch.stack(self.raws)
        raws = joined.tolist()
        moving = self.weights.tolist() if self.weights is not None else []
        lowered = self.lowered
        plain = [
            moving[int(w)] if lowered.moving[i] else float(w) for i, w in enumerate(lowered.weights)
        ]
        parts = [
            0.0 if m else w * r for w, r, m in zip(plain, raws, lowered.monitored, strict=True)
        ]
        whole = sum(abs(part) for part in parts) or 1.0
        return Report(
            tuple(
                Row(name, w, r, part, abs(part) / whole, monitored)
                for name, w, r, part, monitored in zip(
                    lowered.names, plain, raws, parts, lowered.monitored, strict=True
                )
            )
        )
