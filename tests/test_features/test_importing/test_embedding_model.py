"""The script of docs/first_stages.md that makes an embedding model a first stage."""

import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from diffusionret_mm.features import FeatureDataset

ROOT = Path(__file__).parents[3]
ENTRIES = [
    dict(video_id='v1', captions=['two', 'three three'], group='scene'),
    dict(video_id='v0', captions=['four'], group='scene'),
]


class EmbeddingModel:
    """Stands in for `SentenceTransformer`: a vector of what is encoded."""

    def __init__(self, name):
        assert name == 'MODEL'

    def encode(self, items):
        return np.array(
            [[len(Path(item).name), item.endswith('.mp4')] for item in items], np.float32
        )


@pytest.fixture
def script():
    text = (ROOT / 'docs/first_stages.md').read_text()
    (found,) = re.findall(r'```python\n([^`]*SentenceTransformer[^`]*)```', text)
    return found


def test_what_the_script_writes_is_imported(script, import_tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = SimpleNamespace(SentenceTransformer=EmbeddingModel)
    monkeypatch.setitem(sys.modules, 'sentence_transformers', module)
    for split in ('train', 'val', 'test'):
        Path(f'{split}.json').write_text(json.dumps(ENTRIES))
    with pytest.raises(FileNotFoundError, match='videos'):  # it would be encoded as a text
        exec(script, {})
    shutil.rmtree('vectors')
    Path('videos').mkdir()
    for entry in ENTRIES:
        Path('videos', f'{entry["video_id"]}.mp4').touch()
    exec(script, {})
    import_tool('vectors/train')
    dataset = FeatureDataset(str(tmp_path / 'imported'), test_mode=True)
    item = dataset[0]
    assert dataset.get_data_info(0)['captions'] == ['two', 'three three']
    assert dataset.group_of(0) == dataset.group_of(1) == 'scene'
    assert item['inputs']['frames'].tolist() == [[len('v1.mp4'), 1]]
    assert item['inputs']['ids'].pooled.tolist() == [[3, 0], [11, 0]]
