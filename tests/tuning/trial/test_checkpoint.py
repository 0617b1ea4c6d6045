import pytest
import torch

from darec.tuning.trial.checkpoint import STATE, SUM, DamagedError, load_state, save_state

VALUES = {"weights": torch.arange(1000.0), "epoch": 7}


@pytest.fixture
def folder(tmp_path):
    save_state(VALUES, tmp_path)
    return tmp_path


def test_what_was_saved_is_loaded(folder):
    state = load_state(folder)
    assert torch.equal(state["weights"], VALUES["weights"]) and state["epoch"] == 7


def test_a_checkpoint_cut_short_is_reported(folder):
    content = (folder / STATE).read_bytes()
    (folder / STATE).write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedError, match=r"state\.pt is damaged"):
        load_state(folder)


def test_one_flipped_bit_is_reported(folder):
    content = bytearray((folder / STATE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / STATE).write_bytes(bytes(content))
    with pytest.raises(DamagedError, match="SHA-256"):
        load_state(folder)


@pytest.mark.parametrize("content", [b"", b"\xa8\xff", b"0" * 64])
def test_a_damaged_checksum_is_reported(folder, content):
    (folder / SUM).write_bytes(content)
    with pytest.raises(DamagedError, match=r"state\.pt is damaged"):
        load_state(folder)


@pytest.mark.parametrize("name", [STATE, SUM])
def test_a_missing_file_is_reported(folder, name):
    (folder / name).unlink()
    with pytest.raises(DamagedError, match=f"{name} is missing"):
        load_state(folder)


def test_no_code_is_run_from_a_checkpoint(folder, tmp_path):
    """A pickle that would create a file is refused, though its checksum is right."""

    class Harmful:
        def __reduce__(self):
            return open, (str(tmp_path / "harm"), "w")

    save_state({"state": Harmful()}, folder)
    with pytest.raises(Exception, match="Weights only load failed"):
        load_state(folder)
    assert not (tmp_path / "harm").exists()
