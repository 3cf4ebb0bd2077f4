#!/usr/bin/env bash
# Checks the CUDA plugin on a machine with an NVIDIA GPU, without a network, in parts of at most eight minutes:
#
#   tools/gpu/verify.sh                       every part, one after the other
#   tools/gpu/verify.sh found ops             these parts
#   tools/gpu/verify.sh --together            what measures nothing all at once: five minutes in all on 16 cores
#   tools/gpu/verify.sh --simulated found     a rehearsal on the simulated driver, with small sizes: no GPU is tested
#
# Each part leaves one JSON in $OUT (else tools/gpu/results); `table` reads them. PYTHON names the interpreter (python3), and wheels
# that the machine lacks lie in $WHEELS (.whl): where PyTorch's CUDA build is installed, pycuda (built for that Python), pytools,
# platformdirs, mako and siphash24 are enough. The parts are the table of tools/gpu/verify.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec "${PYTHON:-python3}" tools/gpu/verify.py "$@"
