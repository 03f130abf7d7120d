"""Train the estimator of Banzhaf interactions that HBI learns from."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from torch import Tensor

from diffusionret_mm.apis.backbone import follow_backbone
from diffusionret_mm.engine.global_batch import refuse_no_batches
from diffusionret_mm.models.hierarchy import BanzhafNetwork, banzhaf_interaction
from diffusionret_mm.models.retrievers.hbi import word_frame_maps
from diffusionret_mm.models.retrievers.text_video_retriever import TextVideoRetriever
from diffusionret_mm.models.similarity import WeightedTokenInteraction
from diffusionret_mm.storage.checkpoints import load_weights
from diffusionret_mm.structures import TextFeatures, VideoFeatures

LOG_INTERVAL = 20
# Matched pairs whose coalitions are evaluated at a time, a bound on memory.
PAIRS = 8


def train_estimator(
    cfg: Config,
    checkpoint: str | None,
    iterations: int,
    num_coalitions: int,
    lr: float = 1e-2,
    seed: int = 0,
) -> tuple[BanzhafNetwork, float]:
    """Train an estimator on the matched pairs of the training split.

    The retriever is frozen. Each pair's labels are `banzhaf_interaction` over fair draws of
    coalitions; the loss is the squared error over real words and frames (HBI, Section 3.4).

    Args:
        cfg: config of a retriever with a `WeightedTokenInteraction`, such as `configs/drl/`.
        checkpoint: checkpoint of that config; None starts from its pre-trained CLIP, as published,
            where the weights of words and frames are random.
        iterations: batches to train on.
        num_coalitions: draws per pair (published: 100).
        lr: learning rate of Adam, which falls to 0 on a cosine.
        seed: seed of weights, order and draws.

    Returns:
        The network, and the share of the labels' variance that it explained in the last tenth of
        the iterations, before learning from them.

    Raises:
        ValueError: if the config's similarity has no weights of words and frames.
        CheckpointError: if the checkpoint does not fit.
    """
    init_default_scope(cfg.get('default_scope', 'mmaction'))
    follow_backbone(cfg)
    set_random_seed(seed)
    retriever = _frozen_retriever(cfg, checkpoint)
    network = BanzhafNetwork().to(next(retriever.parameters()).device)
    batches = itertools.islice(_batches(cfg, seed), iterations)
    pairs = (_labelled_pairs(retriever, batch, num_coalitions) for batch in batches)
    errors, variances = _fit(network, pairs, iterations, lr)
    last = max(1, iterations // 10)
    network.is_trained.fill_(True)
    return network, 1 - sum(errors[-last:]) / sum(variances[-last:])


def _fit(
    network: BanzhafNetwork,
    pairs: Iterable[tuple[Tensor, Tensor, Tensor]],
    iterations: int,
    lr: float,
) -> tuple[list[float], list[float]]:
    """Fit labels; return the squared error and the variance of the labels of each batch."""
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    errors, variances = [], []
    for step, (maps, real, labels) in enumerate(pairs, start=1):
        loss = (network(maps) - labels)[real].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        errors.append(loss.item())
        variances.append(labels[real].var(correction=0).item())
        if step % LOG_INTERVAL == 0 or step == iterations:
            MMLogger.get_current_instance().info(
                f'[{step}/{iterations}] squared error {errors[-1]:.2f}, variance of the labels '
                f'{variances[-1]:.2f}'
            )
    return errors, variances


def _frozen_retriever(cfg: Config, checkpoint: str | None) -> TextVideoRetriever:
    retriever = MODELS.build(cfg.model)
    if not isinstance(retriever.similarity, WeightedTokenInteraction):
        raise ValueError(
            'The estimator needs the weights of words and frames of a WeightedTokenInteraction; '
            f'the similarity of this config is {type(retriever.similarity).__name__}.'
        )
    if checkpoint is None:
        retriever.init_weights()
    else:
        retriever.load_state_dict(load_weights(checkpoint))
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    return retriever.requires_grad_(False).eval().to(device)


def _batches(cfg: Config, seed: int) -> Iterator[Mapping]:
    """Batches of the training split, epoch after epoch."""
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=seed)
    refuse_no_batches(loader)
    for epoch in itertools.count():
        loader.sampler.set_epoch(epoch)
        yield from loader


@torch.no_grad()
def _labelled_pairs(
    retriever: TextVideoRetriever, batch: Mapping, num_coalitions: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Maps of the matched pairs of a batch, which cells are real, and their labels, [N, L, F]."""
    inputs = retriever.data_preprocessor(batch, False)['inputs']
    texts, videos = retriever.extract(inputs)
    own = videos[inputs['video_of_text']]
    maps, real = word_frame_maps(texts, own)
    parts = torch.arange(len(texts), device=maps.device).split(PAIRS)
    labels = [_labels(retriever, texts[p], own[p], maps[p], num_coalitions) for p in parts]
    return maps, real, torch.cat(labels) * real


def _labels(
    retriever: TextVideoRetriever,
    texts: TextFeatures,
    own: VideoFeatures,
    maps: Tensor,
    num_coalitions: int,
) -> Tensor:
    head = retriever.similarity
    coalitions = [
        (torch.rand(len(mask), num_coalitions, mask.shape[1], device=mask.device) < 0.5)
        & mask[:, None]
        for mask in (texts.mask, own.mask)
    ]
    word_logits = head.word_weight(texts.words).squeeze(-1)
    frame_logits = head.frame_weight(own.frames).squeeze(-1)
    return banzhaf_interaction(maps, word_logits, frame_logits, *coalitions)
