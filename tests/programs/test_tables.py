"""Wrong programs get the right message at the right place; legal ones get none, and run."""

from __future__ import annotations

import pytest
import tables
import torch
import trials

import lossdsl
from lossdsl.functions.record import functions
from lossdsl.library import registry


@pytest.mark.parametrize("entry", tables.wrong())
def test_wrong(entry: tables.Wrong) -> None:
    report = lossdsl.check(entry.text, format=entry.form)
    told = f"\n{entry.text}\n\n{report}"
    found = [(d.code, d.span.text) for d in report.diagnostics]
    assert found == [(one.code, one.at) for one in entry.expected], told
    for diagnostic, one in zip(report.diagnostics, entry.expected, strict=True):
        place = (diagnostic.span.start, diagnostic.span.end)
        assert place == one.place(entry.text), told
        assert one.help is None or one.help in (diagnostic.help or ""), told
        assert one.says is None or one.says in diagnostic.message, told
    if entry.form == "yaml" or "module(" in entry.text:
        return
    messages = [d.message for d in report.errors]
    if not messages:
        lossdsl.compile(entry.text, backend="eager")
        return
    with pytest.raises(lossdsl.LossError) as raised:
        lossdsl.compile(entry.text, backend="eager")
    assert [d.message for d in raised.value.diagnostics] == messages


def test_every_wrong_entry_names_a_way_out() -> None:
    for parameter in tables.wrong():
        for one in parameter.values[0].expected:
            assert (one.help is None) != (one.says is None), parameter.id


def test_no_program_stands_in_a_table_twice() -> None:
    for parameters in (tables.wrong(), tables.legal()):
        texts = [parameter.values[0].text for parameter in parameters]
        assert len(texts) == len(set(texts)), {text for text in texts if texts.count(text) > 1}


@pytest.mark.parametrize("entry", tables.legal())
def test_legal(entry: tables.Legal) -> None:
    report = lossdsl.check(entry.text, format=entry.form, modules=entry.modules)
    assert not report.diagnostics, f"\n{entry.text}\n\n{report}"
    for loss in trials.make(entry.text, entry.form, entry.modules):
        value, tensors = trials.run(loss)
        assert value.dim() == 0
        assert torch.isfinite(value), entry.text
        assert value.requires_grad, entry.text
        for tensor in tensors:
            assert tensor.grad is None or torch.isfinite(tensor.grad).all(), entry.text


EXAMPLES = [example.text for record in registry.records().values() for example in record.examples]


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_of_the_catalogue_are_legal(text: str) -> None:
    """That they have their values is tested beside the losses."""
    assert lossdsl.check(text).diagnostics == ()


def test_every_loss_and_function_is_in_a_legal_program() -> None:
    text = "\n".join((*(entry.text for entry in tables.legal_texts()), *EXAMPLES))
    names = {*registry.records(), *(name for name in functions() if name.isidentifier())}
    called = {name for name in names if f"{name}(" in text}
    assert names - called - {"neg", "and", "or", "not"} == set()
