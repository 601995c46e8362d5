#!/usr/bin/env bash
# Everything that only a GPU can tell, most precious first, each part within a time limit; some minutes on one GPU.
#
#   OUT=folder ARCHSPACE_DATA=... [UNTIL=seconds] benchmarks/gpu.sh [--quick]
#
# Installs nothing. Logs and results go to $OUT. A part that fails or takes too long is told, and the next one begins;
# none begins after UNTIL seconds. --quick runs all parts at tiny sizes, on a CPU too.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
OUT=${OUT:?names the folder that results are written to}
PYTHON=${PYTHON:-python3}
mkdir -p "$OUT"
export PYTHONPATH="$PWD:$PWD/tests${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export ARCHSPACE_CACHE="${ARCHSPACE_CACHE:-$(mktemp -d)}" TORCHINDUCTOR_CACHE_DIR="${TORCHINDUCTOR_CACHE_DIR:-$(mktemp -d)}"
R20=ResNet-20_A_c10 RNX=ResNeXt-29_32x4d_c10 DENSE=DenseNet-BC-100-k12_c10
RESULT="$OUT/training_gpu.json" SEEDS="$OUT/resnet20_gpu.json"
QUICK="" SIZE="" FIRST="off graphs"
if [ "${1:-}" = --quick ]; then
    QUICK=--quick SIZE="--rounds 2 --seconds 0.05 --workers 1 --batch 8" FIRST="off" RNX=$R20 DENSE=$R20
    export OMP_NUM_THREADS=1
fi

part() { # NAME SECONDS COMMAND...: run it, say how it ended
    local name=$1 limit=$2 began=$SECONDS
    shift 2
    if [ "$SECONDS" -gt "${UNTIL:-420}" ]; then
        echo "== $name: left out, it is late" | tee -a "$OUT/log.txt"
        return
    fi
    echo "== $name" | tee -a "$OUT/log.txt"
    timeout --kill-after=5 "$limit" "$@" 2>&1 | tee -a "$OUT/log.txt"
    echo "== $name: status ${PIPESTATUS[0]}, $((SECONDS - began)) s, $SECONDS s in all" | tee -a "$OUT/log.txt"
}
training() { # NAME SECONDS ARGUMENTS...
    local name=$1 limit=$2
    shift 2
    part "$name" "$limit" "$PYTHON" benchmarks/training.py --out "$RESULT" "$@"
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv 2>&1 | tee "$OUT/log.txt"
"$PYTHON" -c 'import torch; print(torch.__version__, torch.cuda.is_available())' 2>&1 | tee -a "$OUT/log.txt"

part "decoding CIFAR-10" 60 "$PYTHON" -c "
from archspace.data.tasks import load_task
print(load_task('cifar10').splits)"
part "what is correct on a GPU" 110 "$PYTHON" -m pytest -n 0 -q -rA -p no:cacheprovider --deselect \
    tests/test_cuda.py::test_a_compiled_network_learns tests/test_cuda.py \
    tests/test_training.py::test_the_host_never_waits_for_a_step_of_the_gpu
training "ResNet-20 beside the bare step and a plain loop" 100 $R20 --compiled $FIRST --rounds 5 ${SIZE:+$SIZE}
part "three seeds at once" 150 bash -c "
    for seed in 0 1 2; do $PYTHON benchmarks/resnet20.py \$seed $QUICK --out $ARCHSPACE_CACHE/seed\$seed.json & done; wait
    $PYTHON benchmarks/resnet20.py --merge $QUICK --out $SEEDS"
training "ResNeXt-29" 60 $RNX --compiled $FIRST --rounds 3 ${SIZE:+$SIZE}
training "DenseNet-BC" 70 $DENSE --compiled $FIRST --rounds 3 ${SIZE:+$SIZE}
WHOLE="--whole --epochs 3"
[ -n "$QUICK" ] && WHOLE="--epochs 2"
for network in $R20 $RNX $DENSE; do
    training "recipe standard, whole epochs, $network" 60 "$network" --recipe standard ${SIZE:---rounds 1} --workers 0 $WHOLE
done
if [ -z "$QUICK" ]; then
    part "a compiled network learns" 60 "$PYTHON" -m pytest -n 0 -q -p no:cacheprovider tests/test_cuda.py -k compiled
    training "ResNet-20, torch.compile" 90 $R20 --compiled on --workers 0 --rounds 3
    part "the loop of most people with two workers" 40 "$PYTHON" benchmarks/training.py $R20 --workers 2 --rounds 2 \
        --out "$OUT/two_workers.json"
fi
ls -l "$OUT"
