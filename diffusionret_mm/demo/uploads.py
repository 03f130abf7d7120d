"""Files that visitors have sent to the page, and no others."""

from __future__ import annotations

import html
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from PIL import Image

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.demo.errors import RequestError

MAX_UPLOAD_MB = 200
# FFmpeg's names of formats that are whole in one file. Others, such as playlists, name further
# files, which would be read from this machine.
CONTAINERS = (
    'asf,avi,dv,flv,gif,gxf,h261,h263,h264,hevc,ivf,m4v,matroska,webm,mjpeg,mov,mp4,mpeg,mpegts,'
    'mpegvideo,mxf,nut,obu,ogg,rm,swf,vc1,wtv,yuv4mpegpipe'
)
# Pillow's names of formats. Others start programs (EPS), or are no images.
IMAGE_FORMATS = ('AVIF', 'BMP', 'GIF', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP')
MAX_PIXELS = 50 * 10**6
PLAYLISTS = (b'#EXTM3U', b'ffconcat')
# Where Gradio looks for the name of the folder that uploads go to.
FOLDER_VARIABLE = 'GRADIO_TEMP_DIR'


def only_uploads(blocks: type, folder: Path, error: type[Exception]) -> type:
    """Return a kind of Gradio's blocks whose functions take uploaded files alone.

    A visitor may name any path in a request. Gradio checks it only in pages that it starts itself,
    and copies the file first. Here a request is checked as a whole before Gradio sees its files.

    Args:
        blocks: `gradio.Blocks`.
        folder: folder of the page's uploads.
        error: what Gradio shows to the visitor.
    """

    class OnlyUploads(blocks):
        async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any) -> Any:
            try:
                check_files(inputs, folder)
            except RequestError as refused:
                raise error(html.escape(str(refused))) from refused
            return await super().preprocess_data(block_fn, inputs, *args)

    return OnlyUploads


def check_files(data: Any, folder: Path) -> None:
    """Refuse a request that names another file than an upload, wherever it names it.

    Args:
        data: the request, as JSON has it.
        folder: folder of the page's uploads.

    Raises:
        RequestError: if there is one.
    """
    if isinstance(data, dict):
        if 'path' in data:
            check_upload(data['path'], folder)
        check_files([*data.values()], folder)
    elif isinstance(data, list | tuple):
        for part in data:
            check_files(part, folder)


def check_upload(path: Any, folder: Path) -> None:
    """Refuse what is no upload, without opening it.

    Args:
        path: what a request gives as the path of a file.
        folder: folder of the page's uploads.

    Raises:
        RequestError: if it is no regular file in the folder, or too large.
    """
    try:
        real = Path(path).resolve()
        is_upload = real.is_relative_to(folder.resolve()) and real.is_file()
        size = real.stat().st_size if is_upload else 0
    except (OSError, RuntimeError, TypeError, ValueError):  # no path, or one with a null byte
        is_upload = False
    if not is_upload:
        raise RequestError('Upload the file first: only uploaded files are read.')
    if size > MAX_UPLOAD_MB * 10**6:
        raise RequestError(f'A file may have {MAX_UPLOAD_MB} MB; this one is larger.')


def check_container(path: str) -> None:
    """Refuse a file that may lead a decoder to other files; call it in a process of its own.

    Args:
        path: an upload.

    Raises:
        VideoReadError: if it is no video in a container of one file.
    """
    with open(path, 'rb') as file:
        if file.read(16).startswith(PLAYLISTS):
            raise VideoReadError('it is a list of files')
    try:
        with av.open(path, options=dict(format_whitelist=CONTAINERS)) as container:
            container.streams.video[0]
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise VideoReadError(f'{type(error).__name__}: {error}') from error


def check_image(path: str) -> None:
    """Refuse a file that no plain image format holds, or that fills the memory; as above.

    Args:
        path: an upload.

    Raises:
        VideoReadError: if it is no image in one of `IMAGE_FORMATS`, or has too many pixels.
    """
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            width, height = image.size
    except Exception as error:  # decoders of images raise errors of nearly any class
        raise VideoReadError(f'{type(error).__name__}: {error}') from error
    if width * height > MAX_PIXELS:
        raise VideoReadError(f'it has {width} x {height} pixels')


@contextmanager
def own_upload_folder(folder: Path) -> Iterator[Path]:
    """Let the pages that are made meanwhile keep their uploads below a folder.

    Otherwise all programs with Gradio share one folder of the machine.

    Args:
        folder: an existing folder.

    Yields:
        The folder of the uploads.
    """
    uploads = Path(tempfile.mkdtemp(prefix='uploads_', dir=folder))
    before = os.environ.get(FOLDER_VARIABLE)
    os.environ[FOLDER_VARIABLE] = str(uploads)
    try:
        yield uploads
    finally:
        if before is None:
            del os.environ[FOLDER_VARIABLE]
        else:
            os.environ[FOLDER_VARIABLE] = before
