import pytest

SMALL = dict(train=8, val=2, test=2)


@pytest.fixture
def write_config(tmp_path):
    """Writes a config of seconds: a few scenes, one epoch."""

    def write(name, base='comparison/xpool.py', **changes):
        from pathlib import Path

        root = Path(__file__).parents[2] / 'configs'
        lines = [f'_base_ = {str(root / base)!r}']
        settings = dict(
            train_dataloader=dict(batch_size=6, dataset=dict(num_scenes=SMALL)),
            val_dataloader=dict(dataset=dict(num_scenes=SMALL)),
            test_dataloader=dict(dataset=dict(num_scenes=SMALL)),
            train_cfg=dict(max_epochs=1, val_interval=1),
        )
        settings |= changes
        lines += [f'{key} = {value!r}' for key, value in settings.items()]
        path = tmp_path / f'{name}.py'
        path.write_text('\n'.join(lines) + '\n')
        return path

    return write
