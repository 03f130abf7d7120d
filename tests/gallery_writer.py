"""Run by processes of tests: change a gallery of random features.

Arguments: the gallery, what to do (`merge`: the same new rows as other processes; `append`: rows of
its own; `maintain`), the number of this process, and how often.
"""

import sys

import numpy as np

from diffusionret_mm.search import Gallery, GalleryWriter, Span, VideoFile, maintain

folder, action, number, count = sys.argv[1:]
gallery = Gallery(folder)
layout = gallery.facts.layout


def add(names, seed):
    spans = [Span(VideoFile('videos', f'{name}.mp4', 1, 7_000_000), 0.0, 5.0) for name in names]
    generator = np.random.default_rng(seed)
    arrays = {
        name: generator.standard_normal((len(spans), *each.shape)).astype(each.dtype)
        for name, each in layout.items()
    }
    with GalleryWriter(gallery) as writer:
        writer.add(spans, arrays)


for turn in range(int(count)):
    if action == 'merge':
        add([f'merged{32 * turn + i}' for i in range(64)], turn)
    elif action == 'append':
        add([f'own{number}-{turn}-{i}' for i in range(8)], 100 * int(number) + turn)
    else:
        maintain(gallery)
print('done')
