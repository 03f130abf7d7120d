"""The queries of a command line: what is searched for, where, and how results are printed."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from diffusionret_mm.apis.encoder import check_video
from diffusionret_mm.apis.images import read_image
from diffusionret_mm.apis.inferencer import TextVideoInferencer, check_top_k
from diffusionret_mm.apis.sentences import check_sentences, read_sentences
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.search import Gallery, Hit, SearchResult, check_probability
from diffusionret_mm.search.conditions import all_of, changed_from, changed_to, within

QUERIES = dict(sentence='a sentence', video='--video', image='--image', queries='--queries')
PICTURES = ('video', 'image')


def add_query_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what to search for."""
    parser.add_argument('sentence', nargs='?', help='find videos that fit it')
    parser.add_argument('--video', metavar='FILE', help='find videos like this one')
    parser.add_argument('--image', metavar='FILE', help='find videos like this image')
    parser.add_argument(
        '--queries', metavar='FILE', help='find videos for each sentence of a file, one per line'
    )
    parser.add_argument(
        '--not',
        dest='minus',
        metavar='SENTENCE',
        help='subtract the scores of this sentence from those of the other',
    )


def add_filter_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which results are wanted."""
    parser.add_argument('--top-k', type=int, default=10, help='number of results')
    parser.add_argument(
        '--all-spans', action='store_true', help='show each moment alone, however many a video has'
    )
    parser.add_argument(
        '--no-subtitles',
        dest='subtitles',
        action='store_false',
        help='rank by the model alone; else a sentence is also matched with the subtitles of a '
        'gallery that has some',
    )
    parser.add_argument('--min-score', type=float, metavar='X', help='leave out lower scores')
    parser.add_argument(
        '--min-confidence',
        type=float,
        metavar='P',
        help='say that there is no match where the probability of one is lower; it takes a second '
        'stage that is calibrated',
    )
    parser.add_argument('--within', metavar='FOLDER', help='search only the files below a folder')
    parser.add_argument(
        '--from', dest='since', metavar='DATE', help='search only files changed on DATE or later'
    )
    parser.add_argument(
        '--to', dest='until', metavar='DATE', help='search only files changed on DATE or before'
    )
    parser.add_argument(
        '--where',
        metavar='CONDITION',
        help='search only what meets it, in SQL on library, path, start, end, kind, bytes, mtime '
        "and metadata, such as \"path LIKE 'holidays/%%' AND mtime > date '2024-01-01'\"",
    )


def check_query(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Refuse a command line without a query, with two, or with something to subtract from none."""
    given = [name for name in QUERIES if getattr(args, name) is not None]
    if len(given) != 1:
        found = ' and '.join(QUERIES[name] for name in given) or 'none of them'
        parser.error(f'give one of {", ".join(QUERIES.values())}; got {found}')
    if args.minus is not None and given[0] in PICTURES:
        parser.error(f'--not subtracts from a sentence, not from {QUERIES[given[0]]}')
    if args.min_confidence is not None and (args.minus is not None or given[0] in PICTURES):
        other = '--not' if args.minus is not None else QUERIES[given[0]]
        parser.error(f'--min-confidence is for sentences alone, and not with {other}')


def condition_of(args: argparse.Namespace, gallery: Gallery) -> str | None:
    """Return the condition in SQL of the options of `add_filter_options`.

    Raises:
        ValueError: if a folder has no part in the gallery, or a date is none.
    """
    return all_of(
        [
            args.where,
            None if args.within is None else within(args.within, gallery.libraries),
            None if args.since is None else changed_from(args.since),
            None if args.until is None else changed_to(args.until),
        ]
    )


@dataclass(frozen=True)
class Queries:
    """What a command line searches for, and where.

    Args:
        sentences: the sentences; none if it is a video or an image.
        where: a condition in SQL, or None.
    """

    sentences: list[str]
    where: str | None


def prepare_queries(args: argparse.Namespace, gallery: Gallery) -> Queries:
    """Read what a command line searches for, and refuse what cannot be, before a model is loaded.

    Args:
        args: a command line with the options of `add_query_options` and `add_filter_options`.
        gallery: where to search.

    Raises:
        ValueError: if a sentence is none, a filter cannot be used, or no result is wanted.
        FileNotFoundError, VideoReadError: if a file does not exist or cannot be read.
    """
    check_top_k(args.top_k)
    if args.min_confidence is not None:
        check_probability(args.min_confidence)
    where = condition_of(args, gallery)
    if where is not None:
        gallery.latest().check(where)
    if args.video is not None:
        check_video(args.video)
    if args.image is not None:
        read_image(args.image)
    if args.queries is not None:
        sentences = read_sentences(args.queries)
    else:
        sentences = [] if args.sentence is None else [args.sentence]
    check_sentences(sentences if args.minus is None else [*sentences, args.minus])
    return Queries(sentences, where)


def run_queries(
    inferencer: TextVideoInferencer, gallery: Gallery, args: argparse.Namespace, queries: Queries
) -> Iterator[SearchResult]:
    """Search for what a command line asks, one query after the other.

    Args:
        inferencer: the model.
        gallery: where to search.
        args: as of `prepare_queries`.
        queries: what it returned.

    Raises:
        GalleryError, VideoReadError: as `TextVideoInferencer.search`.
    """
    common = dict(gallery=gallery, top_k=args.top_k, where=queries.where, all_spans=args.all_spans)
    if args.video is not None:
        results = iter([inferencer.search(Path(args.video), **common)])
    elif args.image is not None:
        results = iter([inferencer.search_image(args.image, **common)])
    else:
        common |= dict(minus=args.minus, subtitles=args.subtitles)
        common |= dict(min_confidence=args.min_confidence)
        results = (inferencer.search(each, **common) for each in queries.sentences)
    for result in results:
        yield _with_scores_from(result, args.min_score)


def as_json(results: list[SearchResult], is_list: bool) -> str:
    """Return results as JSON: a list of objects, or the only one."""
    objects = [asdict(result) for result in results]
    return json.dumps(objects if is_list else objects[0], indent=1)


def as_table(result: SearchResult) -> str:
    """Return a result as a table, with the time of each step below.

    It has a column of subtitles if any of them fit the sentence, and of probabilities if the model
    is calibrated.
    """
    columns = [Column('rank')]
    columns += [Column(name, number='.4f') for name in ('similarity', 'generator', 'score')]
    columns += [Column(name, number='.1f') for name in ('start (s)', 'end (s)')]
    columns += [label('video')]
    rows = [[*_numbers_of(hit), os.path.relpath(hit.video)] for hit in result.hits]
    if any(hit.probability is not None for hit in result.hits):
        columns += [Column('probability', number='.3f')]
        rows = [[*row, hit.probability] for row, hit in zip(rows, result.hits, strict=True)]
    if any(hit.subtitle is not None for hit in result.hits):
        columns += [label('subtitle')]
        rows = [[*row, hit.subtitle] for row, hit in zip(rows, result.hits, strict=True)]
    milliseconds = [f'{name} {1000 * value:.0f} ms' for name, value in result.seconds.items()]
    lines = [format_table(columns, rows, result.query)]
    if result.confidence is not None:
        lines += [('no match: ' if result.no_match else '') + f'confidence {result.confidence:.3f}']
    return '\n'.join([*lines, ', '.join(milliseconds)])


def _numbers_of(hit: Hit) -> tuple[float | None, ...]:
    return hit.rank, hit.similarity, hit.generator, hit.score, hit.start, hit.end


def _with_scores_from(result: SearchResult, lowest: float | None) -> SearchResult:
    if lowest is None:
        return result
    return replace(result, hits=[hit for hit in result.hits if hit.score >= lowest])
