"""Processes for tests, forked from a server that has imported what they need.

A new Python spends seconds on the imports of torch and MMAction2; a fork of the server spends none.
The server only imports and never computes, so that a fork finds no thread half way.
"""

import multiprocessing
import multiprocessing.connection
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
FORK = multiprocessing.get_context('forkserver')
FORK.set_forkserver_preload(
    [
        *('diffusionret_mm', 'diffusionret_mm.apis', 'diffusionret_mm.comparison'),
        *(f'mmaction.{room}' for room in ('datasets', 'engine', 'evaluation', 'models')),
        *('mmaction.visualization', 'diffusers.schedulers.scheduling_utils', 'matplotlib.pyplot'),
        *('torch.distributed', 'torch.utils.cpp_extension'),
    ]
)


def run_script(*argv, timeout=250, fresh=False, **options):
    """Run a script to its end.

    Args:
        *argv: the script and its arguments, as for `start_script`.
        timeout: seconds.
        fresh: start a new Python, which shows that the script's own imports do.
        **options: `cwd` and `env` of `start_script`.

    Returns:
        What `subprocess.run` returns: exit status, and stdout and stderr as texts.
    """
    if fresh:
        return run_command(sys.executable, *argv, timeout=timeout, **options)
    return _finish([argv], [{}], timeout, **options)


def run_command(*command, timeout=250, cwd='.', env=None):
    """Run any command to its end, with a free port in PORT; see `run_script`."""
    environment = _environment(dict(PORT=free_port()) | (env or {}))
    return subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def free_port():
    """A port of this machine that nothing listens at."""
    with socket.socket() as handle:
        handle.bind(('127.0.0.1', 0))
        return str(handle.getsockname()[1])


def run_ranks(count, *argv, timeout=250, **options):
    """Run a script as `count` processes that can form a group, as torchrun does.

    Returns:
        As `run_script`: the status is the first one that is not 0, the texts are those of all.
    """
    with rank_environments(count) as ranks:
        return _finish([argv] * count, ranks, timeout, **options)


@contextmanager
def rank_environments(count):
    """The variables by which each of `count` processes finds its group, as long as the block."""
    from torch.distributed import TCPStore

    store = TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)  # any free port
    common = dict(
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(store.port),
        WORLD_SIZE=str(count),
        LOCAL_WORLD_SIZE=str(count),
        TORCHELASTIC_USE_AGENT_STORE='True',
        TORCHELASTIC_RESTART_COUNT='0',
    )
    yield [common | dict(RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(count)]


def start_script(script, *arguments, cwd='.', env=None, stdout=os.devnull, stderr=os.devnull):
    """Start a script as `python script arguments` would; return its process.

    Args:
        script: path of the script.
        *arguments: of its command line; anything that has a text.
        cwd: folder it runs in.
        env: changes to the environment.
        stdout: file that its output is appended to.
        stderr: file that its messages are appended to.
    """
    argv = [str(Path(script).resolve()), *map(str, arguments)]
    outputs = (str(stdout), str(stderr))
    process = FORK.Process(target=_be, args=(argv, str(cwd), _environment(env or {}), outputs))
    process.start()
    return process


def _environment(changes):
    """The environment of a process: it finds this project and its tests, and uses one thread."""
    environment = dict(os.environ, PYTHONPATH=f'{ROOT}:{ROOT / "tests"}', OMP_NUM_THREADS='1')
    environment['PATH'] = f'{Path(sys.executable).parent}:{environment["PATH"]}'
    return environment | changes


def _be(argv, cwd, environment, outputs):
    """Be the script, in the forked process."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for descriptor, path in enumerate(outputs, start=1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, descriptor)
        os.close(file)
    sys.argv = argv
    sys.path[:0] = [str(Path(argv[0]).parent), *environment['PYTHONPATH'].split(':')]
    runpy.run_path(argv[0], run_name='__main__')


def _finish(commands, environments, timeout, cwd='.', env=None):
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, name) for name in ('stdout', 'stderr')]
        processes = [
            start_script(
                *argv, cwd=cwd, env=(env or {}) | own, stdout=outputs[0], stderr=outputs[1]
            )
            for argv, own in zip(commands, environments, strict=True)
        ]
        status = _wait(processes, commands[0], timeout)
        texts = [path.read_text(errors='replace') for path in outputs]
    return subprocess.CompletedProcess(commands[0], status, *texts)


def _wait(processes, argv, timeout):
    """Wait for all; kill those that are left when one fails or the time is up."""
    left = {process.sentinel: process for process in processes}
    try:
        while left:
            ended = multiprocessing.connection.wait(left, timeout)
            if not ended:
                raise subprocess.TimeoutExpired(argv, timeout)
            for sentinel in ended:
                process = left.pop(sentinel)
                process.join()
                if process.exitcode:
                    return process.exitcode
        return 0
    finally:
        for process in left.values():
            process.kill()
            process.join()
