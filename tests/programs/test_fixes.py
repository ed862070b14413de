"""A safe fix takes its problem away, and puts no other in its place."""

from __future__ import annotations

from typing import Any

import pytest
import tables

import lossdsl
from lossdsl.cli.fixing import applied, fix_text, fixes_of
from lossdsl.diagnostics.codes import CODES
from lossdsl.diagnostics.diagnostic import Diagnostic


def problems(text: str, form: tables.Form) -> tuple[Diagnostic, ...]:
    return lossdsl.check(text, format=form).diagnostics


def fixable() -> list[Any]:
    """The entries of `wrong/` that have a safe fix."""
    found = []
    for parameter in tables.wrong():
        (entry,) = parameter.values
        text = entry.text.removeprefix("\ufeff")
        if fixes_of(text, problems(text, entry.form)):
            found.append(pytest.param(text, entry.form, id=parameter.id))
    return found


FIXABLE = fixable()


def told(found: tuple[Diagnostic, ...], syntax: bool) -> set[tuple[str, str]]:
    """The errors; of the syntax alone where that hides what the checker would say."""
    errors = [d for d in found if d.severity == "error"]
    return {(d.code, d.message) for d in errors if not syntax or CODES[d.code].category == "syntax"}


@pytest.mark.parametrize(("text", "form"), FIXABLE)
def test_each_fix_takes_its_problem_away(text: str, form: tables.Form) -> None:
    found = problems(text, form)
    for problem in found:
        if problem.fix is None or not problem.fix.safe:
            continue
        syntax = CODES[problem.code].category == "syntax"
        changed = applied(text, [problem.fix])
        left = told(problems(changed, form), syntax)
        assert left <= told(found, syntax) - {(problem.code, problem.message)}, changed


@pytest.mark.parametrize(("text", "form"), FIXABLE)
def test_all_fixes_leave_nothing_to_fix(text: str, form: tables.Form) -> None:
    def check(changed: str) -> tuple[Diagnostic, ...]:
        return problems(changed, form)

    fixed, count = fix_text(text, check, check(text))
    assert count > 0
    assert fix_text(fixed, check, check(fixed)) == (fixed, 0)
    assert lossdsl.format(fixed, format=form)


def test_many_entries_have_a_fix() -> None:
    assert len(FIXABLE) > 60
