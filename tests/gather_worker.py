"""Run by one or more processes: the gradients of a global batch of eight texts and four videos.

Arguments: the file to write, and the rule of `gather_batch`.
"""

import sys

import diffusionret_mm  # noqa: F401

# isort: split
import torch
from mmaction.registry import MODELS
from mmengine.dist import get_dist_info, init_dist

from diffusionret_mm.models.gather import gather_batch
from diffusionret_mm.structures import TextFeatures, VideoFeatures

init_dist('pytorch', backend='gloo')
rank, world_size = get_dist_info()
torch.manual_seed(0)
word_net, frame_net = torch.nn.Linear(8, 64), torch.nn.Linear(8, 64)
similarity = MODELS.build(dict(type='WeightedTokenInteraction', width=64))
net = torch.nn.ModuleDict(dict(words=word_net, frames=frame_net, similarity=similarity))
words, frames = torch.randn(8, 5, 8), torch.randn(4, 3, 8)
text_rows = torch.arange(8).tensor_split(world_size)[rank]
video_rows = torch.arange(4).tensor_split(world_size)[rank]


class Step(torch.nn.Module):
    """Encode the own share, gather, compute the loss of the global batch."""

    def __init__(self):
        super().__init__()
        self.net = net

    def forward(self):
        encoded = self.net['words'](words[text_rows])
        texts = TextFeatures(encoded, torch.ones(encoded.shape[:2]).bool(), encoded[:, -1])
        encoded = self.net['frames'](frames[video_rows])
        videos = VideoFeatures(encoded, torch.ones(encoded.shape[:2]).bool())
        own = torch.arange(len(text_rows)) // 2
        texts, videos, own, index = gather_batch(texts, videos, own, video_rows, rule=sys.argv[2])
        loss = MODELS.build(dict(type='ContrastiveLoss'))
        return sum(loss(self.net['similarity'](texts, videos), 10.0, own, index).values())


model = torch.nn.parallel.DistributedDataParallel(Step()) if world_size > 1 else Step()
loss = model()
loss.backward()
if rank == 0:
    state = {name: parameter.grad for name, parameter in net.named_parameters()}
    torch.save(state | dict(loss=loss.detach()), sys.argv[1])
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()  # threads of gloo left running abort the exit
