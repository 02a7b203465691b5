"""Starting the processes that train beside this one, and saying why where one of them ends too early.

Lightning starts them by this program's own command, and kills everything where one of them ends: by a signal that
leaves no word. Here the first process waits until all others have come as far as training, and ends with their reason.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch import Trainer
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from maas.config import command_again
from maas.errors import ProcessError
from maas.training.processes import lost

ARRIVED = "MAAS_ARRIVED_FOLDER"
"""Where each process leaves a file when it has come as far as training."""
POLL_S = 0.1
LAST_LINES = 20
"""Of a process's messages that are kept: the last one says why it ended."""
LAST_WORDS_S = 2.0
"""For the messages of a process that ended to arrive here."""
HELPER_GRACE_S = 10.0
"""For the first process to notice by itself that another one is gone, before it is ended from outside."""
HELPER_LOST_STATUS = 2
"""Of a process that is ended because another one did: as for every error of one line."""


class Helper:
    """A process that trains beside this one; its messages go to this one's, and the last ones are kept.

    Args:
        rank: on this machine, 1 or more.
        environment: of the process.
    """

    def __init__(self, rank: int, environment: dict[str, str]) -> None:
        self.rank = rank
        command, folder = command_again(rank)
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._reader = threading.Thread(target=self._pass_on, daemon=True)
        self._reader.start()

    @property
    def reason(self) -> str:
        """How it ended, and its last message."""
        self._reader.join(LAST_WORDS_S)
        status = self.process.returncode
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        said = next((line.strip().rstrip(".") for line in reversed(self._lines) if line.strip()), "")
        return f"process {self.rank} ended {how}{f' and said: {said}' if said else ''}"

    def _pass_on(self) -> None:
        with cast("TextIO", self.process.stderr) as messages:
            for line in messages:
                self._lines.append(line)
                sys.stderr.write(line)


class Launcher(_SubprocessScriptLauncher):
    """Lightning's launcher, which lets training begin when all processes are there, and reports why one is not."""

    def launch(
        self, function: Callable[..., object], *args: object, trainer: Trainer | None = None, **kwargs: object
    ) -> object:
        """Starts the other processes, unless something else did, and calls a function in this one.

        Raises:
            ConfigError: nothing can start this program again.
            ProcessError: another process ended too early.
        """
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        _set_num_threads_if_needed(num_processes=self.num_processes)
        if not self.cluster_environment.creates_processes_externally:
            with self._helped():
                return function(*args, **kwargs)
        if ARRIVED in os.environ:
            (Path(os.environ[ARRIVED]) / str(self.cluster_environment.local_rank())).touch()
        return function(*args, **kwargs)

    @contextmanager
    def _helped(self) -> Iterator[None]:
        with tempfile.TemporaryDirectory() as folder:
            helpers = self._started(folder)
            _await(helpers, Path(folder))
        is_over = threading.Event()
        threading.Thread(target=_watch, args=(helpers, is_over), daemon=True).start()
        try:
            yield
        except RuntimeError as error:
            message = lost(error) and lost(error, _reason(helpers))
            if message:
                raise message from error
            raise
        finally:
            is_over.set()

    def _started(self, folder: str) -> list[Helper]:
        self._check_can_spawn_children()
        cluster = self.cluster_environment
        os.environ.update(
            MASTER_ADDR=cluster.main_address,
            MASTER_PORT=str(cluster.main_port),
            NODE_RANK=str(cluster.node_rank()),
            LOCAL_RANK=str(cluster.local_rank()),
            WORLD_SIZE=str(self.num_processes * self.num_nodes),
        )
        helpers = list[Helper]()
        for rank in range(1, self.num_processes):
            helpers.append(Helper(rank, {**os.environ, "LOCAL_RANK": str(rank), ARRIVED: folder}))
            self.procs.append(helpers[-1].process)  # which Lightning ends when this process is terminated
        return helpers


def _await(helpers: Sequence[Helper], folder: Path) -> None:
    """Waits until all processes have come as far as training.

    Raises:
        ProcessError: one of them ended before.
    """
    waiting = list(helpers)
    while waiting:
        for helper in waiting:
            if helper.process.poll() is not None and not (folder / str(helper.rank)).exists():
                _end(helpers)
                raise ProcessError(
                    f"Training with {len(helpers) + 1} processes could not begin: {helper.reason}. Mend that, and "
                    "start the same command again."
                )
        waiting = [helper for helper in waiting if not (folder / str(helper.rank)).exists()]
        time.sleep(POLL_S)


def _watch(helpers: Sequence[Helper], is_over: threading.Event) -> None:
    """Ends this process where another one ended and this one, which may wait for it inside torch, does not notice."""
    while not is_over.wait(POLL_S):
        failed = next((helper for helper in helpers if helper.process.poll()), None)
        if failed is not None:
            if not is_over.wait(HELPER_GRACE_S):
                sys.stderr.write(
                    f"Another process of this training ended, so this one cannot continue: {failed.reason}\n"
                )
                sys.stderr.flush()
                _end(helpers)
                os._exit(HELPER_LOST_STATUS)
            return


def _reason(helpers: Sequence[Helper]) -> str:
    """Returns how the first process that failed ended; nothing where none does within some seconds."""
    until = time.monotonic() + LAST_WORDS_S
    while time.monotonic() < until:
        for helper in helpers:
            if helper.process.poll():
                return helper.reason
        time.sleep(POLL_S)
    return ""


def _end(helpers: Sequence[Helper]) -> None:
    for helper in helpers:
        helper.process.kill()
        helper.process.wait()
