import json

import pytest

from easyedit_ice.bench.storage.run_manifest import (
    IDENTITY,
    data_hash,
    differences,
    enter,
    git_revision,
    read,
    versions,
)
from easyedit_ice.errors import LedgerError, OtherRunError

RUN = dict.fromkeys(IDENTITY, "x") | {
    "mode": {"name": "single", "batch_size": 1},
    "hparams": {"lr": 1e-3},
    "started": "2026-01-01T00:00:00+00:00",
    "versions": {"torch": "2"},
    "git": None,
    "command": "easyedit-ice run",
}


def test_a_folder_that_is_entered_again_keeps_its_manifest_and_lists_the_visit(tmp_path):
    enter(tmp_path, RUN)
    enter(tmp_path, RUN | {"started": "2026-01-02T00:00:00+00:00", "versions": {"torch": "3"}})

    found = read(tmp_path)
    assert {key: found[key] for key in RUN} == RUN
    assert [visit["versions"] for visit in found["resumed"]] == [{"torch": "3"}]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"hparams": {"lr": 1e-4}}, r"hparams.lr: 0.001, not 0.0001"),
        ({"hparams": {}}, r"hparams.lr: 0.001, not None"),
        ({"mode": {"name": "single", "batch_size": 10}}, "mode.batch_size: 1, not 10"),
        ({"seed": 3}, "seed: 'x', not 3"),
    ],
)
def test_a_run_of_other_settings_is_refused_with_the_settings_and_the_folder_left_alone(tmp_path, change, named):
    enter(tmp_path, RUN)
    before = (tmp_path / "manifest.json").read_bytes()

    with pytest.raises(OtherRunError, match=named):
        enter(tmp_path, RUN | change)

    assert (tmp_path / "manifest.json").read_bytes() == before


def test_only_what_differs_is_told():
    assert differences(RUN, RUN | {"command": "other"}, IDENTITY) == []
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a"]) == ["a.c: 2, not 3"]


def test_a_folder_without_a_manifest_is_no_run(tmp_path):
    with pytest.raises(LedgerError, match="not the folder of a run"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ("[" * 100000, "not JSON"),
        ("[]", "not the manifest of a run"),
        ("5", "not the manifest of a run"),
        ('{"resumed": 5}', "not the manifest of a run"),
    ],
)
def test_a_broken_manifest_is_an_error(tmp_path, text, told):
    (tmp_path / "manifest.json").write_text(text)

    with pytest.raises(LedgerError, match=told):
        read(tmp_path)


def test_a_data_hash_sees_every_change_and_no_order_of_keys():
    record = {"prompt": "p", "target_new": "t"}
    assert data_hash([record]) == data_hash([dict(reversed(record.items()))])
    assert data_hash([record]) != data_hash([record | {"target_new": "u"}]) != data_hash([record, record])


def test_versions_and_revision_are_plain_values():
    assert json.loads(json.dumps(versions())) == versions()
    assert {"python", "easyedit_ice", "torch", "transformers"} <= versions().keys()
    assert git_revision() is None or len(git_revision().rstrip("+")) == 12


@pytest.mark.parametrize("content", ["[]", "5", '"x"', "null", '{"resumed": 5}', "[" * 100_000, "{"])
def test_what_is_no_manifest_is_refused_by_name(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(LedgerError, match=r"manifest\.json is (no|not)"):
        enter(tmp_path, RUN)


def test_a_folder_in_the_manifests_place_is_refused_by_name(tmp_path):
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(LedgerError, match="cannot be read"):
        read(tmp_path)
