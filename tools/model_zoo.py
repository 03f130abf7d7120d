"""Write docs/model_zoo.md from the metafiles and quoted.yml: python tools/model_zoo.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation.tables import Column, format_markdown_table, label

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / 'docs/model_zoo.md'
QUOTED = 'configs/quoted.yml'
METRICS = ('R@1', 'R@5', 'R@10', 'MdR', 'MnR')
RECALLS = METRICS[:3]
DIRECTIONS = ('t2v', 'v2t')
HEAD = """# Models and published numbers

Written by `python tools/model_zoo.py` from `model-index.yml`, the `metafile.yml` of each method and
`configs/quoted.yml`.
R@k in %, MdR and MnR are ranks. *Published* numbers are quoted from the source named; *ours* are
measured by training the config, and empty until that was done. A dash: not stated there.
"""
QUOTED_HEAD = """
## Present-day systems

Quoted, not reproduced. *Comparable* with the rows above is what was trained from CLIP on the data
set alone, sees frames alone, and is ranked by its own scores. What is not says why: *zero-shot* was
not trained on the data set, *pre-trained on more* has seen other pairs of videos and texts, *leaky*
knew the right answer while it was ranked. mteb has splits of its own: its MSR-VTT has 879 clips and
is not 1k-A.

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


def quoted_rows(system: dict[str, Any]) -> list[list[str]]:
    """Rows of a quoted system, one for each data set and setting.

    Raises:
        ValueError: if a row has a metric that the table has not.
    """
    rows = []
    for row in system['Rows']:
        found = [row.get(direction, {}) for direction in DIRECTIONS]
        unknown = sorted({name for metrics in found for name in metrics} - {*RECALLS})
        if unknown:
            raise ValueError(
                f'{QUOTED}: {system["Name"]} has the metrics {unknown}; {RECALLS} fit.'
            )
        cells = [cell for metrics in found for cell in _cells(metrics, RECALLS)]
        comparable, source = (row.get(key, system[key]) for key in ('Comparable', 'Source'))
        rows.append([row['Dataset'], system['Name'], row['Setting'], *cells, comparable, source])
    return rows


def write_quoted(systems: list[dict[str, Any]]) -> str:
    """Return the part on systems that are quoted alone: what they need, and their numbers."""
    needs = [
        [_linked(system), f'[code]({system["Code"]})' if system['Code'] else None, system['Needs']]
        for system in systems
    ]
    columns = ('data set', 'system', 'setting')
    numbers = [f'{direction} {name}' for direction in DIRECTIONS for name in RECALLS]
    rows = sorted(
        (row for system in systems for row in quoted_rows(system)), key=lambda row: row[0]
    )
    return (
        QUOTED_HEAD
        + format_markdown_table([*map(label, ('system', 'code', 'needs'))], needs)
        + '\n'
        + format_markdown_table(
            [*map(label, columns), *map(Column, numbers), label('comparable'), label('source')],
            rows,
        )
    )


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
    parts.append(write_quoted(yaml.safe_load((root / QUOTED).read_text())['Systems']))
    return ''.join(parts)


def _cells(metrics: dict[str, float], names: tuple[str, ...] = METRICS) -> list[str]:
    return [f'{metrics[name]:.1f}' if name in metrics else '-' for name in names]


def _linked(system: dict[str, Any]) -> str:
    return f'[{system["Name"]}]({system["Paper"]})'


@stop_with_message()
def main() -> None:
    """Write the document."""
    TARGET.write_text(write_document())
    print(f'Written: {TARGET}')


if __name__ == '__main__':
    main()
