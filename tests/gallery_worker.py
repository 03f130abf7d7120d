"""Run by one or two processes: ranks of the recorded gallery in both re-ranked directions.

Arguments: a golden directory, the file to write, and any number of chunk sizes.
"""

import sys

import diffusionret_mm  # noqa: F401

# isort: split
import torch
from mmengine.dist import get_dist_info, init_dist
from parity.encoders import load_subject, recorded_features
from parity.golden import GoldenFolder

from diffusionret_mm.evaluation import query_ranks
from diffusionret_mm.features.scoring import score_all

folder, target, *chunks = sys.argv[1:]
init_dist('pytorch', backend='gloo')
golden = GoldenFolder(folder)
model = load_subject(golden).model
texts, videos = recorded_features(golden.file('rerank48.npz'))
own = torch.arange(len(texts))
ranks = {}
for chunk in map(int, chunks):
    model.rerank_chunk = chunk
    with torch.no_grad():
        matrices = score_all(model, texts, videos, chunk)
    ranks[chunk] = torch.stack([query_ranks(matrix, own).average for matrix in matrices])
if get_dist_info()[0] == 0:
    torch.save(ranks, target)
torch.distributed.destroy_process_group()  # threads of gloo left running abort the exit
