# The GPU scale in a container, from the same lock that `repro rerun` compares with. How to build and run it, and that nobody built it
# for this repository: docs/reproducible_runs.md.
#
# Python's own image at the lock's version of Python: torch's wheels carry CUDA and cuDNN, at exact versions, so the machine brings
# only its driver (NVIDIA Container Toolkit).
FROM python:3.11.7-slim-bookworm

# What the toolkit hands to the container: the libraries to compute, and NVML to count energy.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    MLFLOW_DISABLE_TELEMETRY=true

# git tells which commit runs; a compiler is what torch.compile needs.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/repro
COPY requirements.lock ./

# torch alone brings packages that the lock may lack (CUDA, cuDNN, Triton): its own metadata pins them exactly.
RUN pip install --constraint requirements.lock torch
RUN pip install --no-deps --requirement requirements.lock

COPY . .
RUN pip install --no-deps --editable .

# Nobody's account: records, store and cache lie in /data, which is to be mounted.
RUN useradd --create-home --uid 1000 repro \
    && mkdir /data \
    && chown repro:repro /data \
    && git config --system --add safe.directory /opt/repro
USER repro
WORKDIR /data
VOLUME /data
ENV REPRO_CACHE=/data/cache

ENTRYPOINT ["repro"]
CMD ["--help"]
