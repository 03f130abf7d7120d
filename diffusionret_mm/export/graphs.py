"""Encoders of a retriever to ONNX."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from diffusionret_mm.export.checking import compare_encoders, random_texts, random_videos
from diffusionret_mm.export.files import (
    TEXT_FILE,
    VIDEO_FILE,
    EncoderFacts,
    ExportError,
    write_facts,
)
from diffusionret_mm.export.onnx_encoders import OnnxEncoders
from diffusionret_mm.extras import import_extra
from diffusionret_mm.features.fingerprint import hash_of_weights
from diffusionret_mm.storage.folders import build_folder
from diffusionret_mm.storage.locks import locked

if TYPE_CHECKING:
    from diffusionret_mm.models.retrievers import TextVideoRetriever


class _TextGraph(nn.Module):
    def __init__(self, model: TextVideoRetriever) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        features = self.model.encode_text(ids, mask)
        return features.words, features.pooled


class _VideoGraph(nn.Module):
    def __init__(self, model: TextVideoRetriever) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        return self.model.encode_video(frames, mask).frames


@torch.no_grad()
def export_encoders(
    model: TextVideoRetriever, folder: Path, tolerance: float = 1e-4
) -> dict[str, float]:
    """Export the encoders, run the graphs on random inputs, and compare them with torch.

    The numbers of texts and words, videos and frames are free. The folder appears when the graphs
    have passed. It holds

    - text_encoder.onnx: ids [N, L] int64 and mask [N, L] bool to words [N, L, D] and pooled [N, D];
    - video_encoder.onnx: normalised frames [M, F, 3, H, W] float and mask [M, F] bool to features
      [M, F, D];
    - encoders.json.

    Args:
        model: the retriever, on the CPU and in evaluation mode.
        folder: folder to make.
        tolerance: largest error, relative to the largest entry of torch's output.

    Returns:
        The largest relative error of 'words', 'pooled' and 'frames'.

    Raises:
        ModuleNotFoundError: if the extra `export` is not installed; it names the command.
        FileExistsError: if the folder exists.
        RuntimeError: if another process exports to it.
        ExportError: if the encoders cannot be exported, or the graphs compute something else.
    """
    for module in ('onnx', 'onnxscript', 'onnxruntime'):
        import_extra(module, 'export')
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f'{folder} exists; give another folder or remove it.')
    facts = _facts(model)
    with locked(folder), build_folder(folder) as made:
        made.mkdir()
        _export(
            _TextGraph(model), random_texts(2, 8, facts), 'ids', ['words', 'pooled'],
            made / TEXT_FILE, fixed_length=facts.fills_context,
        )  # fmt: skip
        _export(
            _VideoGraph(model), random_videos(2, 3, facts.image_size), 'frames', ['features'],
            made / VIDEO_FILE,
        )  # fmt: skip
        write_facts(made, facts)
        return compare_encoders(model, OnnxEncoders(made), tolerance)


def _facts(model: TextVideoRetriever) -> EncoderFacts:
    passport = model.backbone.passport
    if passport is None:
        raise ExportError(
            f'{type(model.backbone).__name__} has no passport, which says what the encoders read.'
        )
    return EncoderFacts(
        max_words=passport.context_length,
        max_frames=None if model.temporal is None else model.temporal.max_frames,
        image_size=passport.image_size,
        width=model.backbone.embed_dim,
        weights=hash_of_weights(model),
        vocabulary=passport.vocabulary,
        fills_context=passport.fills_context,
    )


def _export(
    graph: nn.Module,
    inputs: tuple[Tensor, Tensor],
    name: str,
    outputs: list[str],
    path: Path,
    fixed_length: bool = False,
) -> None:
    free = {0: 'batch'} if fixed_length else {0: 'batch', 1: 'length'}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # the exporter's, about its own dependencies
            program: Any = torch.onnx.export(
                graph.eval(),
                inputs,
                dynamo=True,
                dynamic_shapes=(free, free),
                input_names=[name, 'mask'],
                output_names=outputs,
                verbose=False,
            )
            program.save(path)
    except Exception as error:
        raise ExportError(
            f'{path.name} could not be exported ({type(error).__name__}: {str(error)[:500]}). '
            'The backbone and the temporal transformer can be, a TemporalLSTM cannot.'
        ) from error
