"""Roll-outs applied to what is served in this process: versions that go, processes beside it, copies that cannot be."""

import asyncio
import re
import threading
import time

import msgspec
import numpy as np
import pytest

from maas.errors import InputError, OverloadError, ProcessError
from maas.serving.call import Call, PreprocessedInputs, RowList
from maas.serving.entries import LocatedEntry, ModelEntry
from maas.serving.peers import PeerReply
from maas.serving.protocols.operations import Request
from maas.serving.repository import Repository
from maas.serving.rollout import edits
from maas.serving.rollout.following import FolderFollower
from maas.serving.rollout.observing import ObservedEngine
from maas.serving.rollout.records import AbTest, Bounds, Canary, RolloutState, Shadow
from maas.serving.rollout.rollouts import Rollouts
from maas.serving.rollout.shadowing import MOST_COPIES, Shadower, is_same
from maas.serving.rollout.state import FolderState, MemoryState

CANARY = Canary(model="digits", candidate="next", percent=100)
ROWS = RowList([[3] * 64])


def add(repository, folder, version, **settings):
    return repository.add(LocatedEntry(ModelEntry(model=str(folder), **settings), str(folder), None, version))


@pytest.fixture
def served(tmp_path, bundles):
    """A repository with versions 3, 4 (next) and 5 of digits."""
    repository = Repository()
    add(repository, bundles.array_bundle(tmp_path / "three"), "3")
    add(repository, bundles.array_bundle(tmp_path / "four", seed=1), "4", labels=("next",))
    add(repository, bundles.array_bundle(tmp_path / "five"), "5")
    yield repository
    asyncio.run(repository.close())


def changed(rollouts, edit):
    asyncio.run(rollouts.change(edit))
    return rollouts


def found(rollouts, repository, **headers):
    request = Request(metadata={name.replace("_", "-").encode(): value.encode() for name, value in headers.items()})
    return rollouts.snapshot_for(request, repository.snapshot).find("digits")


def test_stable_version_answers_when_the_candidate_is_not_served_any_more(served, caplog):
    rollouts = changed(Rollouts(), edits.put("next", CANARY, 1.0))
    assert (found(rollouts, served).version, found(rollouts, served).role) == ("4", "candidate")

    async def remove():
        served.remove([slot for slot in served.slots if slot.deployment.version == "4"])
        await asyncio.gather(*served._retiring)

    asyncio.run(remove())
    for headers in ({}, {"maas_rollout": "candidate"}):
        assert (found(rollouts, served, **headers).version, found(rollouts, served, **headers).role) == ("3", "stable")
    line = "Roll-out next: version next of digits is not served. The stable version answers."
    assert caplog.messages.count(line) == 1


def test_candidate_follows_its_label_when_another_version_has_it(served):
    rollouts = changed(Rollouts(), edits.put("next", CANARY, 1.0))
    assert found(rollouts, served).version == "4"
    four, five = served.slots[1:]
    four.entry, five.entry = (
        msgspec.structs.replace(four.entry, labels=()),
        msgspec.structs.replace(five.entry, labels=("next",)),
    )
    served._publish()
    assert found(rollouts, served).version == "5"


def test_stable_version_has_the_requests_of_a_version_of_a_test_that_is_missing(served):
    test = AbTest(model="digits", versions={"3": 0, "9": 1})
    rollouts = changed(Rollouts(), edits.put("test", test, 1.0))
    assert (found(rollouts, served).version, found(rollouts, served).role) == ("3", "stable")


def test_other_models_are_as_before_when_one_has_a_rollout(served, text_folder):
    served.open(text_folder)
    rollouts = changed(Rollouts(), edits.put("next", CANARY, 1.0))
    snapshot = rollouts.snapshot_for(Request(), served.snapshot)
    assert snapshot.find("sentiment") is served.snapshot.find("sentiment")
    assert snapshot.first.version == snapshot.for_task("tabular-classification").version == "4"
    assert snapshot.find("digits", "4") is served.snapshot.find("digits", "4")
    assert [one.version for one in snapshot.versions("digits")] == ["3", "4", "5"]
    assert snapshot is rollouts.snapshot_for(Request(), served.snapshot)


class Both:
    """Two processes, as one of them sees them."""

    def __init__(self):
        self.handlers = []

    def handle(self, kind, handler):
        self.handlers.append(handler)

    async def broadcast(self, kind, body=b"", *, is_change=True, is_state=False):
        return [PeerReply(number, await handler(body)) for number, handler in enumerate(self.handlers, 1)]


def test_change_reaches_other_processes_and_none_is_lost_when_both_make_some(served):
    peers = Both()
    one, other = Rollouts(MemoryState(), peers), Rollouts(MemoryState(), peers)
    changed(one, edits.put("next", CANARY, 1.0))
    assert other.is_active
    assert found(other, served).version == "4"
    changed(other, edits.put("mood", Canary(model="mood", candidate="2"), 2.0))
    assert set(one.state.rollouts) == set(other.state.rollouts) == {"next", "mood"}
    changed(one, edits.delete("next", 3.0))
    assert set(other.state.rollouts) == {"mood"}


def test_administrator_is_told_of_processes_that_could_not_apply_a_change():
    class Late(Both):
        """The second process does not reply in time."""

        async def broadcast(self, kind, body=b"", *, is_change=True, is_state=False):
            replies = await super().broadcast(kind, body, is_change=is_change, is_state=is_state)
            return [*replies, PeerReply(2, error=ProcessError("Worker 2 did not reply within 900 s."))]

    rollouts = Rollouts(MemoryState(), Late())
    with pytest.raises(ProcessError, match=r"^1 of 2 processes failed, and the others did it: Worker 2 did not"):
        changed(rollouts, edits.put("next", CANARY, 1.0))
    assert rollouts.is_active


def test_change_is_made_whole_when_its_caller_leaves():
    class SlowState(MemoryState):
        """Lets its caller leave while it keeps the state."""

        def update(self, edit):
            leaving.wait(10)
            return super().update(edit)

    leaving = threading.Event()
    rollouts = Rollouts(SlowState())

    async def scenario():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await rollouts.change(edits.put("next", CANARY, 1.0))
        assert not rollouts.is_active
        leaving.set()
        await rollouts.close()
        assert rollouts.is_active
        with pytest.raises(InputError, match="are both of model digits"):
            await rollouts.change(edits.put("other", CANARY, 2.0))

    asyncio.run(scenario())


def test_state_that_comes_late_is_ignored():
    rollouts = changed(Rollouts(), edits.put("next", CANARY, 1.0))
    rollouts.take(RolloutState(revision=0))
    assert rollouts.is_active


class Returns:
    """Sees what becomes of roll-outs."""

    def __init__(self):
        self.copies, self.returns = [], []

    def observe_shadow(self, model, result):
        self.copies.append(result)

    def observe_return(self, model, rollout):
        self.returns.append((model, rollout))


def test_candidate_is_returned_in_all_processes_when_one_finds_that_it_fails(served, caplog):
    peers, seen = Both(), Returns()
    one, other = Rollouts(MemoryState(), peers, seen), Rollouts(MemoryState(), peers)
    bounds = Bounds(max_error_fraction=0, min_requests=2)
    changed(one, edits.put("next", Canary(model="digits", candidate="4", percent=100, bounds=bounds), 1.0))

    async def requests():
        served.snapshot.find("digits", "4").engine._is_draining = True  # it refuses all calls
        for _ in range(2):
            with pytest.raises(OverloadError):
                await anext(found(one, served).engine.submit(Call(model="digits", inputs=ROWS, size_bytes=200)))
        assert not one.is_active  # at once
        await one.close()

    asyncio.run(requests())
    assert seen.returns == [("digits", "next")]
    assert not other.is_active
    assert other.state.rollouts["next"].reason == "2 of its latest 2 requests failed (1); allowed is 0"
    assert "Roll-out next: the candidate for digits is returned: 2 of its latest 2" in caplog.text


def test_candidate_is_returned_when_it_takes_longer_than_the_stable_version(served):
    bounds = Bounds(max_latency_ratio=3, percentile=50, min_requests=5)
    canary = Canary(model="digits", candidate="4", percent=50, bounds=bounds)
    rollouts = changed(Rollouts(), edits.put("next", canary, 1.0))
    slow = served.snapshot.find("digits", "4").engine
    run = slow._runs.run
    slow._runs.run = lambda rows: time.sleep(0.1) or run(rows)
    users = iter(map(str, range(1000)))

    async def requests():
        sent = []
        while rollouts.is_active:
            deployment = found(rollouts, served, maas_user=next(users))
            sent.append(deployment.role)
            await deployment.outputs(ROWS.rows)
        await rollouts.close()
        return sent

    sent = asyncio.run(requests())
    assert min(sent.count("candidate"), sent.count("stable")) >= 5
    record = rollouts.state.rollouts["next"]
    assert record.status == "returned"
    assert re.fullmatch(
        r"its latency at percentile 50 is \S+ ms, \S+ times the stable version's \S+ ms; allowed is 3 times",
        record.reason,
    )
    assert record.figures.latency_ms >= 100


def test_outcomes_are_noted_once_whichever_way_a_call_is_sent(served):
    noted = []
    deployment = served.snapshot.first
    deployment.engine._runs._is_inline, deployment.engine._small_bytes = True, 1e9  # however busy the machine is
    engine = ObservedEngine(deployment.engine, lambda call, outcome, seconds: noted.append(outcome))
    call = Call(model="digits", inputs=ROWS, size_bytes=200)
    delivered = []

    async def calls():
        assert engine.start(call, delivered.append) is not None
        chunks = [chunk async for chunk in engine.submit(call)]
        assert len(chunks) == 1
        deployment.engine._is_draining = True
        with pytest.raises(OverloadError):
            await anext(engine.submit(call))
        with pytest.raises(OverloadError):
            engine.start(call, delivered.append)
        deployment.engine._is_draining = False

    asyncio.run(calls())
    assert [type(one).__name__ for one in noted] == ["dict", "dict", "OverloadError", "OverloadError"]
    np.testing.assert_array_equal(delivered[0]["probabilities"], noted[0]["probabilities"])
    assert (engine.summary, engine.max_rows, engine.queued_rows) == (deployment.engine.summary, 1024, 0)


def shadower(served, candidate: str, count, **settings) -> Shadower:
    stable, other = served.snapshot.first, served.snapshot.find("digits", candidate)
    return Shadower(Shadow(model="digits", candidate=candidate, **settings), stable, other, count)


def test_copies_are_dropped_first_when_there_is_much_to_do(served):
    results = []
    shadow = shadower(served, "5", results.append)
    call, outputs = Call(model="digits", inputs=ROWS, size_bytes=200), served.snapshot.first.example_outputs

    async def load():
        served.snapshot.find("digits", "5").engine.pause()
        for _ in range(MOST_COPIES + 3):
            shadow.note(call, outputs, 0.1)
        assert results == ["dropped"] * 3
        shadow.note(call, OverloadError("no room"), 0.1)  # there is nothing to compare
        served.snapshot.find("digits", "5").engine.resume()
        await asyncio.gather(*shadow._copies)

    asyncio.run(load())
    assert len(results) == MOST_COPIES + 3


def test_rows_that_one_version_preprocessed_are_copied_when_the_other_preprocesses_alike(served, tmp_path, bundles):
    features = served.snapshot.first.processor.preprocess(ROWS.rows)
    call = Call(model="digits", inputs=PreprocessedInputs(features), size_bytes=200)
    add(served, bundles.array_bundle(tmp_path / "wide", width=64, labels=3), "6")
    text = bundles.text_bundle(tmp_path / "text", max_tokens=32)
    served.open(text, name="t", version="1")
    results = []

    async def copies():
        outputs = await served.snapshot.first.outputs(ROWS.rows)
        same = shadower(served, "5", results.append)
        same.note(call, outputs, 0.1)
        other = Shadower(
            Shadow(model="digits", candidate="6"), served.snapshot.first, served.snapshot.find("t"), results.append
        )
        other.note(call, outputs, 0.1)
        await asyncio.gather(*same._copies)

    asyncio.run(copies())
    assert sorted(results) == ["dropped", "same"]


def test_scores_are_compared_within_the_tolerance_when_there_is_one(tmp_path, bundles):
    repository = Repository()
    values = repository.open(bundles.value_bundle(tmp_path / "value")).postprocessor
    labels = repository.open(bundles.array_bundle(tmp_path / "array", labels=2)).postprocessor
    asyncio.run(repository.close())

    def compared(postprocessor, left, right, tolerance=None):
        one, other = ({postprocessor.output: np.array(each, np.float32)} for each in (left, right))
        return is_same(one, other, (postprocessor, postprocessor), tolerance)

    assert compared(labels, [[0.9, 0.1]], [[0.6, 0.4]])
    assert not compared(labels, [[0.9, 0.1]], [[0.6, 0.4]], 0.2)
    assert compared(labels, [[0.9, 0.1]], [[0.6, 0.4]], 0.31)
    assert not compared(labels, [[0.9, 0.1]], [[0.4, 0.6]], 0.6)
    assert compared(values, [1000.0], [1000.05])
    assert not compared(values, [1000.0], [1000.2])
    assert not compared(values, [0.5], [0.5002])
    assert compared(values, [1000.0], [1090.0], 0.1)


async def until(condition) -> None:
    """Waits; pytest's own timeout ends a wait in vain."""
    while not condition():  # noqa: ASYNC110  another thread reads the file
        await asyncio.sleep(0.005)


def test_servers_with_one_folder_follow_each_other_and_keep_what_they_have_when_it_is_broken(tmp_path, caplog):
    stores = FolderState(tmp_path), FolderState(tmp_path)
    one, other = map(Rollouts, stores)

    async def scenario() -> None:
        follower = FolderFollower(stores[1], other, interval_s=0.005)
        follower.start()
        await one.change(edits.put("test", CANARY, 1.0))
        await until(lambda: other.is_active)
        assert other.state == one.state
        (tmp_path / "rollout.json").write_text("{")
        await until(lambda: caplog.messages)
        assert other.is_active
        (tmp_path / "rollout.json").unlink()
        await one.change(edits.delete("test", 2.0))
        await until(lambda: not other.is_active)
        await follower.close()

    asyncio.run(scenario())
    (message,) = caplog.messages
    assert "Roll-outs stay as they are" in message
    assert "rollout.json is no state of roll-outs: Input data was truncated" in message
