"""The first step of a search on a vector database, for galleries beyond one machine."""

from __future__ import annotations

import os

import numpy as np

from diffusionret_mm.extras import import_extra
from diffusionret_mm.search.first_step import NO_ROW

# Vectors a request: 256 of width 512 are 3 MB of JSON.
BATCH = 256
KEY_VARIABLE = 'QDRANT_API_KEY'


class QdrantFirstStep:
    """Vectors in a collection of Qdrant.

    Args:
        location: `http://HOST:PORT` or `https://...` of a server or cluster, whose key, if it wants
            one, is in the environment variable QDRANT_API_KEY; or a folder for the embedded mode,
            which one process uses at a time.
        collection: name of the collection; it is made if it is not there.
        width: width D of the vectors.
    """

    def __init__(self, location: str, collection: str, width: int) -> None:
        module = import_extra('qdrant_client', 'search')
        self.models = module.models
        self.collection = collection
        if location.startswith(('http://', 'https://')):
            self.client = module.QdrantClient(url=location, api_key=os.environ.get(KEY_VARIABLE))
        else:
            self.client = module.QdrantClient(path=location)
        if not self.client.collection_exists(collection):
            # Not cosine: the database would normalise the vectors.
            vectors = self.models.VectorParams(size=width, distance=self.models.Distance.DOT)
            self.client.create_collection(collection, vectors_config=vectors)

    def add(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        """See `FirstStep.add`."""
        for start in range(0, len(rows), BATCH):
            part = slice(start, start + BATCH)
            points = self.models.Batch(ids=rows[part].tolist(), vectors=vectors[part].tolist())
            self.client.upsert(self.collection, points=points, wait=True)

    def remove(self, rows: np.ndarray) -> None:
        """See `FirstStep.remove`."""
        points = self.models.PointIdsList(points=rows.tolist())
        self.client.delete(self.collection, points_selector=points, wait=True)

    def finish(self) -> None:
        """Do nothing: the database keeps its own index."""

    def search(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """See `FirstStep.search`."""
        requests = [
            self.models.QueryRequest(query=query.tolist(), limit=count) for query in queries
        ]
        rows = np.full((len(queries), count), NO_ROW, dtype=np.int64)
        scores = np.full((len(queries), count), -np.inf, dtype=np.float32)
        responses = self.client.query_batch_points(self.collection, requests=requests)
        for number, response in enumerate(responses):
            points = response.points
            rows[number, : len(points)] = [point.id for point in points]
            scores[number, : len(points)] = [point.score for point in points]
        return rows, scores

    def close(self) -> None:
        """End the connection."""
        self.client.close()
