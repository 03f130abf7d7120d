"""The names of keys in published checkpoints, and ours."""

from __future__ import annotations

from dataclasses import dataclass, field

from diffusionret_mm.conversion.huggingface import huggingface_name

CLIP = {'clip.': 'backbone.clip.'}
TEMPORAL = {
    'frame_position_embeddings.weight': 'temporal.position_embedding',
    'transformerClip.': 'temporal.transformer.',
}
PAIR_TRANSFORMER = {
    'cross.embeddings.position_embeddings.weight': 'similarity.encoder.position_embedding',
    'cross.transformer.': 'similarity.encoder.transformer.',
    'cross.pooler.ln_pool.': 'similarity.norm.',
    'cross.pooler.dense.': 'similarity.dense.',
    'similarity_dense.': 'similarity.logit.',
}
LSTM = {'lstm_visual.': 'temporal.lstm.'}
TOKEN_WEIGHTS = {
    'text_weight_fc.': 'similarity.word_weight.',
    'video_weight_fc.': 'similarity.frame_weight.',
}
GENERATORS = {
    f'{published}.{part}': f'generators.{direction}.denoiser.{own}'
    for published, direction in (('diffusion_model', 't2v'), ('diffusion_model_v', 'v2t'))
    for part, own in (
        ('embed_timestep.time_embed.', 'time_embed.'),
        ('proj.', 'out_proj.'),
        ('', ''),
    )
}
# OpenAI's archives carry these numbers as tensors; the shapes of the others tell them.
CLIP_NUMBERS = dict.fromkeys(
    ('input_resolution', 'context_length', 'vocab_size'), 'read off the shapes'
)
POSITION_TABLES = {
    f'{generator}{part}.sequence_pos_encoder.pe': 'sine table, computed here'
    for generator in ('diffusion_model', 'diffusion_model_v')
    for part in ('', '.embed_timestep')
}
HBI_TRAINING = {
    f'{name}.': 'acts in training only (HBI ranks by its entity level)'
    for name in (
        *(f'{modality}_{part}{level}' for modality in 'tv' for part in ('ctm', 'block')
          for level in '01'),
        *(f'{modality}_weight_fc{level}' for modality in ('text', 'video') for level in '01'),
        *(f'banzhaf{part}' for part in ('model', 'model0', 'model1', 'teacher')),
    )
}  # fmt: skip


POOLING = {
    f'pool_frames.{published}.': f'similarity.{own}.'
    for published, own in {
        **{f'cross_attn.{part}_proj': f'{part}_proj' for part in ('q', 'k', 'v', 'out')},
        **{f'layer_norm{number}': f'norm{number}' for number in (1, 2, 3)},
        'linear_proj': 'linear',
    }.items()
}
RADIUS = {'stochastic.std_branch.linear_proj.': 'similarity.radius_linear.'}
POSITION_NUMBERS = {
    f'clip.{tower}_model.embeddings.position_ids': 'a range of integers'
    for tower in ('text', 'vision')
}


@dataclass(frozen=True)
class Layout:
    """Keys of a published state dict.

    Args:
        renamed: prefix of our keys by prefix of the published ones; the longest match counts.
        dropped: why keys with a prefix are not needed.
        similarity: type of our similarity that the method ranks by; None for a bare CLIP.
        not_saved: why keys of ours are in no published checkpoint; they keep their start values.
        huggingface: whether CLIP, under `clip.`, has the names of transformers.
    """

    renamed: dict[str, str]
    dropped: dict[str, str] = field(default_factory=dict)
    similarity: str | None = None
    not_saved: dict[str, str] = field(default_factory=dict)
    huggingface: bool = False

    def rename(self, key: str) -> str | None:
        """Return our name of a published key, or None if it is unknown or dropped."""
        return None if self.reason_to_drop(key) else _replace_prefix(key, self.renamed)

    def published_name(self, key: str) -> str:
        """Return the published name of one of our keys."""
        name = _replace_prefix(key, {own: name for name, own in self.renamed.items()}) or key
        if self.huggingface and name.startswith('clip.'):
            return 'clip.' + huggingface_name(name.removeprefix('clip.'))
        return name

    def reason_to_drop(self, key: str) -> str | None:
        """Return why a published key is not needed, or None if it is."""
        return next((why for name, why in self.dropped.items() if key.startswith(name)), None)


def _replace_prefix(key: str, prefixes: dict[str, str]) -> str | None:
    matches = [prefix for prefix in prefixes if key.startswith(prefix)]
    if not matches:
        return None
    longest = max(matches, key=len)
    return prefixes[longest] + key[len(longest) :]


LAYOUTS = {
    'clip': Layout(renamed={'': ''}, dropped=CLIP_NUMBERS),
    'clip4clip': Layout(renamed=CLIP | TEMPORAL | LSTM, similarity='CosineSimilarity'),
    'tighttransf': Layout(renamed=CLIP | PAIR_TRANSFORMER, similarity='PairTransformer'),
    'emcl': Layout(
        renamed=CLIP | TEMPORAL,
        similarity='EMSimilarity',
        not_saved={'similarity.bases': 'the published code does not save the bases'},
    ),
    'drl': Layout(renamed=CLIP | TEMPORAL | TOKEN_WEIGHTS, similarity='WeightedTokenInteraction'),
    'hbi': Layout(
        renamed=CLIP | TEMPORAL | TOKEN_WEIGHTS,
        dropped=HBI_TRAINING,
        similarity='WeightedTokenInteraction',
    ),
    'diffusionret': Layout(
        renamed=CLIP | TEMPORAL | LSTM | TOKEN_WEIGHTS | GENERATORS,
        dropped=POSITION_TABLES,
        similarity='WeightedTokenInteraction',
    ),
    'tmass': Layout(
        renamed=CLIP | POOLING | RADIUS,
        dropped=POSITION_NUMBERS
        | {'stochastic.std_branch.learnable_scalar': 'no published code uses it'},
        similarity='StochasticXPool',
        huggingface=True,
    ),
}
