"""What is kept of roll-outs, and how it changes."""

import asyncio
import json
import threading

import msgspec
import pytest

from maas.errors import ConfigError, InputError
from maas.serving.faults import UnknownRolloutError
from maas.serving.rollout import edits
from maas.serving.rollout.records import (
    AbTest,
    Bounds,
    Canary,
    Header,
    ReturnFigures,
    RolloutName,
    RolloutState,
    Shadow,
)
from maas.serving.rollout.rollouts import Rollouts
from maas.serving.rollout.state import FolderState, MemoryState

CANARY = Canary(model="digits", candidate="4", percent=10, bounds=Bounds(max_error_fraction=0.1))
SPLIT = AbTest(model="mood", versions={"1": 1, "2": 3})


def kept(*changes) -> RolloutState:
    store = MemoryState()
    for change in changes:
        store.update(change)
    return store.read()


def test_state_is_read_as_it_was_written(tmp_path):
    store = FolderState(tmp_path / "new" / "folder")
    store.update(edits.put("digits-4", CANARY, 5.0))
    record = store.read().rollouts["digits-4"]
    store.update(edits.returned("digits-4", record, "too slow", ReturnFigures(requests=9, errors=1), 6.0))
    store.update(edits.with_written({"mood": SPLIT}, 7.0))
    state = FolderState(tmp_path / "new" / "folder").read()
    assert state == store.read()
    assert [one.status for one in state.rollouts.values()] == ["returned", "active"]
    assert state.revision == 3
    assert not list((tmp_path / "new" / "folder").glob("*.partial"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is no state of roll-outs: Input data was truncated. Move it away, or set state= to another folder."),
        (b'{"\xff": 1}', "is no state of roll-outs: "),
        (b"[1]", "is no state of roll-outs: Expected `object`, got `array`. Move it away"),
        (b"{}", "has no schema_version; this server reads 1. Move it away"),
        (b'{"schema_version": 2}', "has schema_version 2; this server reads 1. Move it away"),
        (b'{"schema_version": 1, "rollouts": {"a": 3}}', "Expected `object`, got `int` - at `$.rollouts[...]`. Move"),
    ],
)
def test_foreign_or_broken_file_is_one_line(tmp_path, content, message):
    (tmp_path / "rollout.json").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        FolderState(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "rollout.json").read_bytes() == content


def test_process_that_joins_others_starts_with_their_state_when_the_file_is_broken(tmp_path):
    state = kept(edits.put("digits-4", CANARY, 5.0))
    file = tmp_path / "rollout.json"
    file.write_text("{")
    rollouts = Rollouts(FolderState(tmp_path, state), state=state)
    assert rollouts.state == state
    with pytest.raises(ConfigError, match=r"rollout\.json is no state of roll-outs"):
        asyncio.run(rollouts.change(edits.delete("digits-4", 6.0)))
    file.unlink()
    asyncio.run(rollouts.change(edits.delete("digits-4", 6.0)))
    assert FolderState(tmp_path).read().revision == state.revision + 1


def test_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"^state=.*file/below cannot be written: Not a directory. Set state= to"):
        FolderState(tmp_path / "file" / "below")


def test_no_change_is_lost_when_several_write_one_folder(tmp_path):
    def write(number: int) -> None:
        store = FolderState(tmp_path)
        for count in range(5):
            store.update(edits.put(f"r{number}-{count}", Canary(model=f"m{number}-{count}", candidate="2"), 1.0))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = FolderState(tmp_path).read()
    assert (len(state.rollouts), state.revision) == (20, 20)


def test_rollouts_stay_when_their_file_is_moved_away(tmp_path):
    store = FolderState(tmp_path)
    store.update(edits.put("digits-4", CANARY, 5.0))
    store.update(edits.put("mood", SPLIT, 5.0))
    (tmp_path / "rollout.json").unlink()
    state = store.update(edits.delete("mood", 6.0))
    assert (list(state.rollouts), state.revision) == (["digits-4"], 3)
    assert FolderState(tmp_path).read() == state


def test_revision_grows_when_a_file_of_before_is_put_back(tmp_path):
    store = FolderState(tmp_path)
    store.update(edits.put("digits-4", CANARY, 5.0))
    before = (tmp_path / "rollout.json").read_bytes()
    for seconds in (6.0, 7.0):
        store.update(edits.put("mood", SPLIT, seconds))
    (tmp_path / "rollout.json").write_bytes(before)
    state = store.update(edits.put("digits-4", CANARY, 8.0))
    assert (list(state.rollouts), state.revision) == (["digits-4"], 4)


@pytest.mark.parametrize("has_folder", [True, False])
def test_state_of_another_process_is_not_taken_when_it_comes_late(tmp_path, has_folder):
    store = FolderState(tmp_path) if has_folder else MemoryState()
    early = store.update(edits.put("digits-4", CANARY, 5.0))
    store.update(edits.put("mood", SPLIT, 6.0))
    store.adopt(early)
    assert list(store.update(edits.delete("digits-4", 7.0)).rollouts) == ["mood"]


@pytest.mark.parametrize(("kind", "text"), [(RolloutName, "digits-4"), (Header, "maas-user")])
def test_name_is_refused_when_a_line_ends_it(kind, text):
    assert msgspec.convert(text, kind) == text
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(f"{text}\n", kind)


def test_log_says_once_that_nothing_is_kept_when_there_is_no_folder(caplog):
    store = MemoryState()
    store.update(edits.with_written({}, 1.0))
    assert not caplog.messages
    store.update(edits.put("a", CANARY, 1.0))
    store.update(edits.put("a", CANARY, 2.0))
    assert [line for line in caplog.messages if "Set state=FOLDER to keep them" in line] == [caplog.messages[0]]


def test_second_active_rollout_of_a_model_is_refused():
    shadow = Shadow(model="digits", candidate="5")
    with pytest.raises(InputError, match="Roll-outs digits-4 and other are both of model digits. Delete or end one"):
        kept(edits.put("digits-4", CANARY, 1.0), edits.put("other", shadow, 2.0))
    with pytest.raises(InputError, match="are both of model digits"):
        kept(edits.with_written({"one": CANARY, "two": shadow}, 1.0))
    state = kept(edits.put("digits-4", CANARY, 1.0), edits.put("digits-4", shadow, 2.0))
    assert state.rollouts["digits-4"].rollout == shadow


def test_return_is_left_out_when_the_rollout_has_changed_meanwhile():
    judged = kept(edits.put("a", CANARY, 1.0)).rollouts["a"]
    late = edits.returned("a", judged, "reason", ReturnFigures(), 3.0)
    assert kept(edits.put("a", CANARY, 1.0), late).rollouts["a"].status == "returned"
    assert kept(edits.put("a", CANARY, 2.0), late).rollouts["a"].status == "active"
    assert kept(edits.put("a", CANARY, 1.0), edits.delete("a", 2.0), late).rollouts == {}


def test_rollout_of_a_file_stays_returned_until_the_file_has_another():
    written = {"a": CANARY}
    first = kept(edits.with_written(written, 1.0))
    back = edits.returned("a", first.rollouts["a"], "reason", ReturnFigures(), 2.0)
    assert (
        kept(edits.with_written(written, 1.0), back, edits.with_written(written, 3.0)).rollouts["a"].status
        == "returned"
    )
    other = {"a": Canary(model="digits", candidate="5")}
    assert kept(edits.with_written(written, 1.0), back, edits.with_written(other, 3.0)).rollouts["a"].status == "active"
    changed = edits.put("a", Canary(model="digits", candidate="4", percent=50), 2.0)
    assert (
        kept(edits.with_written(written, 1.0), changed, edits.with_written(written, 3.0)).rollouts["a"].rollout.percent
        == 50
    )


def test_rollout_of_a_file_is_ended_when_it_is_deleted_and_gone_when_the_file_lacks_it():
    written = {"a": CANARY}
    ended = kept(edits.with_written(written, 1.0), edits.delete("a", 2.0), edits.with_written(written, 3.0))
    assert ended.rollouts["a"].status == "ended"
    assert kept(
        edits.with_written(written, 1.0), edits.put("b", SPLIT, 2.0), edits.with_written({}, 3.0)
    ).rollouts.keys() == {"b"}
    with pytest.raises(UnknownRolloutError, match="There is no roll-out 'z'; there is a"):
        kept(edits.with_written(written, 1.0), edits.delete("z", 2.0))


def test_file_is_json_that_people_can_read(tmp_path):
    FolderState(tmp_path).update(edits.put("digits-4", CANARY, 5.0))
    content = json.loads((tmp_path / "rollout.json").read_text())
    assert content["schema_version"] == 1
    assert content["rollouts"]["digits-4"]["rollout"]["kind"] == "canary"
