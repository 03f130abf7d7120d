import torch
from mmaction.registry import MODELS


def test_each_video_runs_over_its_own_frames():
    torch.manual_seed(0)
    module = MODELS.build(dict(type='TemporalLSTM', width=8))
    frames = torch.randn(3, 5, 8)
    mask = torch.arange(5) < torch.tensor([[3], [5], [1]])
    out = module(frames, mask)
    for video in range(3):
        real = frames[video][mask[video]]
        context, _ = module.lstm(real[None])
        torch.testing.assert_close(out[video][mask[video]], context[0] + real)
        assert torch.equal(out[video][~mask[video]], frames[video][~mask[video]])
