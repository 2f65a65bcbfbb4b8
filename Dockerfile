# trpo_gail on a laptop:
#
#   docker build -t trpo_gail .
#   docker run --rm -v "$PWD/runs:/opt/trpo_gail/runs/folder" --user "$(id -u):$(id -g)" trpo_gail
#   docker run --rm ... trpo_gail mpirun -n 2 trpo-gail train Hopper-v4 --expert expert_data/Hopper-v4.h5
#
# For a GPU, any Debian or Ubuntu base with Python 3.11 or later will do, and torch brings its own CUDA libraries:
#
#   docker build -t trpo_gail --build-arg BASE=nvidia/cuda:13.0.1-base-ubuntu24.04 .      docker run --gpus all ...
#
# Which torch: on x86-64, pip's default index gives the pin torch==2.13.0 as a CUDA build, whatever the base. For the
# much smaller CPU build, hand the build a pip.conf with PyTorch's CPU index as `extra-index-url`:
#
#   docker build -t trpo_gail --secret id=pip.conf,src=pip.conf .
ARG BASE=python:3.11-slim
FROM ${BASE}

# NVIDIA's bases bring no Python.
RUN python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
    { apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*; }

# The dependencies are a layer of their own, made again only if one of these files changes; the package is empty as yet.
WORKDIR /opt/trpo_gail
COPY setup.cfg pyproject.toml constraints.txt ./
COPY scripts/setup.sh scripts/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    mkdir trpo_gail && touch trpo_gail/__init__.py && PIP_NO_CACHE_DIR=1 scripts/setup.sh

COPY . .
# Any user may run this image, also one without a name or a home (torch and matplotlib ask for these).
RUN mkdir -p -m 1777 runs
ENV PATH=/opt/trpo_gail/.venv/bin:$PATH USER=trpo_gail HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib
USER 1000:1000
CMD ["scripts/quickstart.sh"]
