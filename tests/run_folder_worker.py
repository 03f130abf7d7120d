"""A process of a run that works in the folder `run`: it enters, says so, and leaves."""

import sys

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch.distributed
from mmengine.config import Config

from diffusionret_mm.apis.run import run_folder
from diffusionret_mm.storage.locks import LockedError

cfg = Config(dict(work_dir='run', launcher='pytorch', env_cfg=dict(dist_cfg=dict(backend='gloo'))))
try:
    with run_folder(cfg):
        torch.distributed.barrier()  # all ranks are inside at the same time
        print('inside')
except LockedError as error:
    print(error)
    sys.exit(2)
finally:
    torch.distributed.destroy_process_group()
