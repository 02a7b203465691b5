"""From the settings of a server to its roll-outs."""

from functools import partial

from maas.serving.models_file import read_models_file
from maas.serving.peers import Peers
from maas.serving.repository.administration import Administration
from maas.serving.rollout.following import FolderFollower
from maas.serving.rollout.records import Rollout
from maas.serving.rollout.rollouts import Rollouts
from maas.serving.rollout.state import FolderState, MemoryState
from maas.serving.rollout.watching import RolloutObserver
from maas.serving.served_models import ServedModels
from maas.serving.settings import ServerSettings


def open_rollouts(
    settings: ServerSettings,
    administration: Administration,
    observer: RolloutObserver,
    peers: Peers,
    served: ServedModels | None = None,
) -> Rollouts:
    """Returns the roll-outs of settings, as they were left; they are read again with the file of models.

    Args:
        settings: of the server.
        administration: of the models.
        observer: sees copies and returns.
        peers: processes that have the same roll-outs.
        served: what other processes serve already, in place of the file's roll-outs; null for those of the file.

    Raises:
        ConfigError: they are wrong, or the folder of their state cannot be read or written.
    """
    known = None if served is None else served.rollouts
    store = MemoryState() if settings.state is None else FolderState(settings.state, known)
    rollouts = Rollouts(store, peers, observer, state=known)
    if known is None:
        rollouts.take_written(rollouts_of(settings), administration.repository.snapshot)
    else:
        store.adopt(known)
    if isinstance(store, FolderState):
        administration.repository.companions.append(FolderFollower(store, rollouts))
    administration.rollouts = lambda: rollouts.state
    administration.followers.append(partial(rollouts.take_written_again, partial(rollouts_of, settings)))
    return rollouts


def rollouts_of(settings: ServerSettings) -> dict[str, Rollout]:
    """Returns the roll-outs of the file of models.

    Raises:
        ConfigError: the file cannot be read, or it is wrong.
    """
    return {} if settings.models is None else dict(read_models_file(settings.models).rollouts)
