"""Index videos: python tools/index.py VIDEOS... GALLERY.

Several processes: torchrun --nproc_per_node GPUS tools/index.py ..., tools/dist_index.sh or
tools/slurm_index.sh. Each does a share of the videos.
"""

from diffusionret_mm.commands.index import main

if __name__ == '__main__':
    main()
