# docker build -t diffusionret_mm .                           CPUs, and GPUs with `docker run --gpus all`
# docker build --build-arg TORCH_INDEX=URL ...                torch of another index, such as CPU wheels
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm

# An index that is asked for torch and torchvision alone; empty: the one that pip asks for the rest.
ARG TORCH_INDEX=""

# OpenCV, which mmaction2 asks for, loads libGL and GLib.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

ENV PIP_NO_CACHE_DIR=1
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch>=2.5" torchvision

WORKDIR /opt/diffusionret_mm
COPY setup.py pyproject.toml README.md LICENSE model-index.yml ./
COPY diffusionret_mm ./diffusionret_mm
COPY configs ./configs
RUN pip install ".[demo]"
COPY tools ./tools

# Weights are downloaded to the folder that the user mounts, and stay there.
ENV XDG_CACHE_HOME=/data/.cache
RUN useradd --create-home user && mkdir /data && chown user /data
USER user
WORKDIR /data
EXPOSE 7860
CMD ["text-video", "--help"]
