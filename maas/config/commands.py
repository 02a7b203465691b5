"""By which command this program was started: what trains in several processes starts the others by the same one."""

import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from maas.errors import ConfigError


def command_again(rank: int) -> tuple[list[str], Path]:
    """Returns the command that starts this program once more, and the folder to start it in.

    Args:
        rank: of the process that it starts, for Hydra's name of the job.

    Raises:
        ConfigError: the program is no file and no module, so nothing can start it again.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    script = Path(sys.argv[0]).absolute()
    if spec is None and not script.is_file():
        raise ConfigError(
            "Several processes train by starting this program again, and it was typed into Python (-c, a notebook, "
            "standard input). Write it into a file, run python -m maas.train recipe=…, or set trainer=cpu."
        )
    command = [sys.executable, *(["-m", spec.name] if spec else [str(script)]), *sys.argv[1:]]
    if not HydraConfig.initialized():
        return command, Path.cwd()
    hydra = HydraConfig.get()
    own = [f'hydra.run.dir="{hydra.run.dir}"', f"hydra.job.name=train_ddp_process_{rank}", "hydra.output_subdir=null"]
    return [*command, *own], Path(hydra.runtime.cwd)
