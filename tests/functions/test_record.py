"""Records of functions, and the small checks that rules share."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
import torch

from lossdsl.functions.numbers import is_number, is_whole
from lossdsl.functions.record import CallSite


def test_the_text_about_a_call_names_its_fields() -> None:
    named = set(re.findall(r"`(\w+)`", CallSite.__doc__ or "")) - {"Dim"}
    assert named == {"operands", "numbers", "texts", "literals"}
    assert named <= {field.name for field in dataclasses.fields(CallSite)}


@pytest.mark.parametrize(
    ("value", "number", "whole"),
    [
        (3, True, True),
        (3.0, True, False),
        (True, False, False),
        ("3", False, False),
        (None, False, False),
        ((3,), False, False),
        (torch.tensor(3), False, False),
    ],
)
def test_plain_numbers(value: Any, number: bool, whole: bool) -> None:
    assert is_number(value) is number
    assert is_whole(value) is whole
