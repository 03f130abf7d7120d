"""Run a retriever on video tasks of mteb: tools/mteb.py CONFIG [CHECKPOINT] --tasks NAME."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from mmengine.config import DictAction

from diffusionret_mm.apis.mteb import FORMS, TextVideoEncoder
from diffusionret_mm.apis.mteb_tasks import choose_tasks, list_tasks, run_tasks
from diffusionret_mm.apis.user_errors import stop_with_message


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Run a retriever on the video tasks of mteb (docs/first_stages.md)'
    )
    parser.add_argument('config', nargs='?', help='config file')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint file, if the config needs one')
    parser.add_argument('--list', action='store_true', help='name the tasks and stop')
    parser.add_argument('--tasks', nargs='+', default=[], metavar='NAME', help='tasks of --list')
    parser.add_argument(
        '--form',
        choices=FORMS,
        default='pooled',
        help='score by one vector each, by the similarity, or by the second stage too '
        '(default: pooled)',
    )
    parser.add_argument(
        '--results',
        type=Path,
        default=Path('work_dirs/mteb'),
        metavar='FOLDER',
        help="where mteb's files of results are kept (default: work_dirs/mteb)",
    )
    parser.add_argument('--device', help='device of the model (default: a GPU if there is one)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='change the config'
    )
    args = parser.parse_args()
    if not args.list and not (args.config and args.tasks):
        parser.error('give a config and --tasks, or --list')
    return args


def find_the_package() -> None:
    """Let `import mteb` find the package and not this script, which has its name."""
    own = Path(__file__).resolve().parent
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != own]


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    find_the_package()
    if args.list:
        print(list_tasks())
        return
    tasks = choose_tasks(args.tasks)
    model = TextVideoEncoder(
        args.config,
        args.checkpoint,
        form=args.form,
        device=args.device,
        cfg_options=args.cfg_options,
    )
    print(run_tasks(model, tasks, args.results))


if __name__ == '__main__':
    main()
