from pathlib import Path

import pytest

CONFIGS = Path(__file__).parents[2] / 'configs/comparison'
SCENES = dict(train=4, val=2, test=2)


@pytest.fixture
def write_config(tmp_path):
    """Writes a config whose run takes seconds; `changes` are further settings."""

    def write(name, base='clip4clip_seqtransf', **changes):
        loader = dict(dataset=dict(num_scenes=SCENES))
        settings = dict(
            train_dataloader=dict(batch_size=6, **loader),
            val_dataloader=loader,
            test_dataloader=loader,
            auto_scale_lr=dict(base_batch_size=6),
            train_cfg=dict(max_epochs=1, val_interval=1),
            default_hooks=dict(report=dict(draw=False)),
            **changes,
        )
        path = tmp_path / f'{name}.py'
        lines = [f'_base_ = {str(CONFIGS / base)!r} + ".py"']
        lines += [f'{key} = {value!r}' for key, value in settings.items()]
        path.write_text('\n'.join(lines) + '\n')
        return path

    return write
