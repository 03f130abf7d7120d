"""Write docs/model_zoo.md from the metafiles: python tools/model_zoo.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation.tables import Column, format_markdown_table

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / 'docs/model_zoo.md'
METRICS = ('R@1', 'R@5', 'R@10', 'MdR', 'MnR')
HEAD = """# Models and published numbers

Written by `python tools/model_zoo.py` from `model-index.yml` and the `metafile.yml` of each method.
R@k in %, MdR and MnR are ranks. *Published* numbers are quoted from the source named; *ours* are
measured by training the config, and empty until that was done. A dash: not stated there.
"""


def load_collections(root: Path) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Read the metafiles.

    Args:
        root: folder of `model-index.yml`.

    Returns:
        Each collection with its models, in the order of the index.

    Raises:
        ValueError: if a model belongs to no collection of its file, or its config is missing.
    """
    index = yaml.safe_load((root / 'model-index.yml').read_text())
    loaded = []
    for name in index['Import']:
        content = yaml.safe_load((root / name).read_text())
        (collection,) = content['Collections']
        for model in content['Models']:
            if model['In Collection'] != collection['Name']:
                raise ValueError(
                    f'{name}: model {model["Name"]} is in the collection '
                    f'{model["In Collection"]!r}, and the file has {collection["Name"]!r} alone.'
                )
            if model['Config'] and not (root / model['Config']).is_file():
                raise ValueError(f'{name}: model {model["Name"]} has no config {model["Config"]}.')
        loaded.append((collection, content['Models']))
    return loaded


def model_rows(model: dict[str, Any]) -> list[list[str]]:
    """Rows of a model: each published result, then ours in both directions."""
    (result,) = model['Results']
    config = f'[config](../{model["Config"]})' if model['Config'] else 'none'
    rows = [
        [result['Dataset'], config, published['Direction'], *_cells(published['Metrics']),
         published['Source']]
        for published in model['Published']
    ]  # fmt: skip
    if model['Config']:
        for direction in ('t2v', 'v2t'):
            own = result['Metrics'].get(direction, {})
            cells = _cells(own) if own else [''] * len(METRICS)
            rows.append([result['Dataset'], config, direction, *cells, 'ours'])
    return rows


def write_document(root: Path = ROOT) -> str:
    """Return the text of docs/model_zoo.md."""
    parts = [HEAD]
    for collection, models in load_collections(root):
        paper = collection['Paper']
        parts.append(
            f'\n## {collection["Name"]}\n\n[{paper["Title"]}]({paper["URL"]}), '
            f'[code]({collection["Code"]}).\n'
        )
        if 'Note' in collection:
            parts.append(f'{collection["Note"]}\n')
        columns = map(Column, ('data set', 'config', 'direction', *METRICS, 'source'))
        rows = [row for model in models for row in model_rows(model)]
        parts.append('\n' + format_markdown_table([*columns], rows))
    return ''.join(parts)


def _cells(metrics: dict[str, float]) -> list[str]:
    return [f'{metrics[name]:.1f}' if name in metrics else '-' for name in METRICS]


@stop_with_message()
def main() -> None:
    """Write the document."""
    TARGET.write_text(write_document())
    print(f'Written: {TARGET}')


if __name__ == '__main__':
    main()
