"""Files with notes come back as they were written, or are refused in the caller's own words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from easyedit_ice.runtime.tensor_files import read_noted, read_notes, write_noted

TENSORS = {"whole": torch.arange(6).view(2, 3), "parts": torch.randn(3, generator=torch.Generator().manual_seed(0))}


def _damaged(path: Path, how: str) -> LookupError:
    return LookupError(f"{path.name} {how}")


def test_tensors_and_notes_come_back(tmp_path):
    write_noted(tmp_path / "held", TENSORS, {"what": "it is"})
    tensors, notes = read_noted(tmp_path / "held", _damaged)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in TENSORS.items())
    assert notes == {"what": "it is"}
    assert read_notes(tmp_path / "held", _damaged)["what"] == "it is"


def test_what_is_there_is_not_written_again(tmp_path):
    write_noted(tmp_path / "held", TENSORS, {"what": "first"})
    write_noted(tmp_path / "held", {}, {"what": "second"})
    assert read_noted(tmp_path / "held", _damaged)[1] == {"what": "first"}


def test_a_changed_bit_is_noticed(tmp_path):
    write_noted(tmp_path / "held", TENSORS, {})
    content = bytearray((tmp_path / "held").read_bytes())
    content[-1] ^= 1
    (tmp_path / "held").write_bytes(content)
    with pytest.raises(LookupError, match="held has other values than were written"):
        read_noted(tmp_path / "held", _damaged)


@pytest.mark.parametrize("content", [b"", b"short", b"long enough, but no such file at all"])
def test_another_kind_of_file_is_refused(tmp_path, content):
    (tmp_path / "held").write_bytes(content)
    for read in (read_notes, read_noted):
        with pytest.raises(LookupError, match="held cannot be read"):
            read(tmp_path / "held", _damaged)


def test_a_file_that_is_not_there_is_said_to_be_unreadable(tmp_path):
    with pytest.raises(LookupError, match="held cannot be read"):
        read_noted(tmp_path / "held", _damaged)
