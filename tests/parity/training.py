"""One training step of each stage: losses, negatives, gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusionret_mm.models.retrievers.training_rows import batch_contexts
from diffusionret_mm.structures import TextFeatures, VideoFeatures
from parity.encoders import Subject, encoded, recorded_features
from parity.golden import (
    DIFFUSION,
    EXACT,
    FEATURES,
    LOSS,
    GoldenFile,
    GoldenFolder,
    gradient_tolerance,
)

DIRECTIONS = ('t2v', 'v2t')


def check_discrimination(golden: GoldenFolder, subject: Subject) -> None:
    """Stage one: the contrastive loss and the gradients of every parameter."""
    file, model = golden.file('discrimination.npz'), subject.model
    model.set_stage('discrimination')
    model.zero_grad()
    losses = _discrimination_losses(golden, subject, *encoded(golden, subject))
    total = sum(losses.values())
    total.backward()
    file.compare('loss', total, LOSS)
    file.compare('discrimination_loss', total, LOSS)
    file.compare('generation_loss', 0.0, EXACT)
    file.compare('loss_t2v', 2 * losses['loss_t2v'], LOSS)
    file.compare('loss_v2t', 2 * losses['loss_v2t'], LOSS)
    file.compare('logit_scale_exp', model.backbone.logit_scale, LOSS)
    _check_gradients(file, subject)


def check_generation(golden: GoldenFolder, subject: Subject) -> None:
    """Stage two: negatives, noised rows, predictions, loss and gradients."""
    for name in ('generation.npz', 'generation_full_neg.npz'):
        if golden.has(name):
            _check_generation_step(golden, subject, golden.file(name))


def _check_generation_step(golden: GoldenFolder, subject: Subject, file: GoldenFile) -> None:
    model = subject.model
    model.set_stage('generation')
    model.zero_grad()
    model.num_negatives = int(file.take('num'))
    model.loss_head.generation.scale = float(file.take('d_temp'))
    negative_value = float(file.take('neg'))
    # The extractor is frozen: the recorded features keep its rounding out of the generators' loss.
    texts, videos = recorded_features(golden.file('encode.npz'))
    with torch.no_grad():
        discrimination = sum(_discrimination_losses(golden, subject, texts, videos).values())
    own = torch.arange(len(texts))
    index = golden.file('encode.npz').take('idx')
    scores = model.similarity(texts, videos)
    chosen = model.training_candidates(scores, own, index)
    _check_negatives(file, scores, index, chosen)
    # Where equal scores left a choice, go on with the recorded one.
    chosen = {d: torch.cat([own[:, None], file.take(f'neg_idx_{d}')], dim=1) for d in DIRECTIONS}
    contexts = batch_contexts(model.generators, texts, videos, own, chosen)
    _check_generator_inputs(file, texts, videos, chosen)
    losses, t = {}, file.take('t')
    for direction, context in contexts.items():
        generator, noise = model.generators[direction], file.take(f'noise_{direction}')
        generator.negative_value = negative_value
        file.compare('x_start', generator.ideal(noise), EXACT)
        x_t = generator.scheduler.add_noise(generator.ideal(noise), noise, t)
        file.compare(f'x_t_{direction}', x_t, DIFFUSION)
        prediction = generator(context, t, noise)
        file.compare(f'out_{direction}', prediction, DIFFUSION)
        losses[direction] = model.loss_head.generation(prediction)
        file.compare(f'kl_loss_{direction}', losses[direction], LOSS)
    total = sum(losses.values())
    total.backward()
    file.compare('generation_loss', total, LOSS)
    file.compare('discrimination_loss', discrimination, LOSS)
    file.compare('loss', total + discrimination, LOSS)
    if 'grad_norms' in file:
        _check_gradients(file, subject)


def _discrimination_losses(
    golden: GoldenFolder, subject: Subject, texts: TextFeatures, videos: VideoFeatures
) -> dict[str, Tensor]:
    model, index = subject.model, golden.file('encode.npz').take('idx')
    return model.loss_head.discrimination_loss(
        model.similarity(texts, videos), model.backbone.logit_scale, torch.arange(len(texts)), index
    )


def _check_negatives(
    file: GoldenFile, scores: Tensor, index: Tensor, chosen: dict[str, Tensor]
) -> None:
    """Indices are exact; which of two equally bad entries is taken is an accident of topk."""
    same = index[:, None] == index
    for direction, matrix in (('t2v', scores), ('v2t', scores.t())):
        ranked = matrix.masked_fill(same, -1.0)
        recorded = torch.from_numpy(file.recorded(f'neg_idx_{direction}'))
        ours = chosen[direction][:, 1:]
        if ours.shape == recorded.shape:
            equal = ranked.gather(1, ours) == ranked.gather(1, recorded)
            ours = torch.where(equal, recorded, ours)
        file.compare(f'neg_idx_{direction}', ours, EXACT)


def _check_generator_inputs(
    file: GoldenFile, texts: TextFeatures, videos: VideoFeatures, chosen: dict[str, Tensor]
) -> None:
    t2v, v2t = chosen['t2v'], chosen['v2t']
    ours = dict(
        t2v_text_emb=texts.pooled,
        t2v_video_emb=videos.frames[t2v],
        t2v_video_mask=videos.mask[t2v],
        v2t_text_emb=texts.pooled[v2t],
        v2t_video_emb=videos.frames,
        v2t_video_mask=videos.mask,
    )
    for key in ours.keys() & file.arrays.keys():
        file.compare(key, ours[key], FEATURES)


def _check_gradients(file: GoldenFile, subject: Subject) -> None:
    gradients = subject.published_gradients()
    file.compare_names(
        'grad_norm_names', [name for name in gradients if gradients[name] is not None]
    )
    if 'no_grad_names' in file:
        file.compare_names('no_grad_names', [name for name in gradients if gradients[name] is None])
    recorded = file.recorded('grad_norms')
    names = [str(name) for name in file.recorded('grad_norm_names')]
    norms = torch.stack([gradients[name].double().norm() for name in names])
    file.compare('grad_norms', norms, gradient_tolerance(recorded, recorded))
    if 'grad_total_norm' in file:
        file.compare('grad_total_norm', norms.norm(), gradient_tolerance(recorded, recorded))
    for key in [key for key in file.arrays if key.startswith('grad:')]:
        gradient = gradients[key.removeprefix('grad:')]
        file.compare(key, gradient, gradient_tolerance(file.recorded(key), recorded))
