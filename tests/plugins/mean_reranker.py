"""A retriever of one file that re-ranks the three best candidates in its own way."""

from mmaction.registry import MODELS
from torch.nn import functional as F

from diffusionret_mm.models.retrievers import TextVideoRetriever


@MODELS.register_module()
class MeanReranker(TextVideoRetriever):
    """Adds 2 + the cosine of the text and the mean frame to the three best similarities."""

    def num_candidates(self, direction):
        return 3

    def refine(self, direction, scores, queries, candidates, chosen, query_index):
        found = candidates[chosen.flatten()]
        texts, videos = (queries, found) if direction == 't2v' else (found, queries)
        text = F.normalize(texts.pooled, dim=-1)
        frames = F.normalize(videos.frames, dim=-1) * videos.mask[..., None]
        video = F.normalize(frames.sum(dim=1), dim=-1)
        query, others = (text, video) if direction == 't2v' else (video, text)
        cosines = (query[:, None] * others.view(*chosen.shape, -1)).sum(dim=-1)
        return scores + 2 + cosines
