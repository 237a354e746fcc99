"""All data lies in one folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagebus.folders import checkout, data_folder


def test_the_data_of_a_checkout_lies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMAGEBUS_DATA", raising=False)

    assert data_folder() == Path(__file__).resolve().parents[1] / ".imagebus"
    assert checkout() == data_folder().parent


def test_the_variable_chooses_another_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMAGEBUS_DATA", str(tmp_path))
    assert data_folder() == tmp_path

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGEBUS_DATA", "here")
    assert data_folder() == tmp_path / "here"

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("IMAGEBUS_DATA", "~/there")
    assert data_folder() == tmp_path / "there"
