#!/usr/bin/env bash
# The rows C1 to C15 of docs/results.md: the course's nets for CIFAR-10 with the course's settings.
#
#     benchmarks/cifar_rows.sh BUILD/onnxtune CIFAR OUTDIR [ROW...]
#
# CIFAR is the folder of the six .bin files.  SEED=N in the environment takes another seed than 42.  A row begins with a
# new net or with what the row before it left, so rows go in their order.  Each leaves OUTDIR/ROW-SEED.csv (a line an
# epoch), .onnx and .log; the last line of the CSV is printed.
set -u
ot=$1 data=$2 out=$3
shift 3
seed=${SEED:-42}
mkdir -p "$out"

# fit ROW NET|ROW-BEFORE OPTIONS...
fit() {
    local name=$1-$seed from=$out/$2-$seed.onnx
    if ! [[ $2 =~ ^C[0-9] ]]; then
        from=$out/$2.onnx
        "$ot" new "$2" --seed "$seed" -o "$from" >/dev/null || return 1
    fi
    shift 2
    "$ot" tune "$from" --data "$data" --unfreeze --augment crop-flip --batch 256 --seed "$seed" "$@" \
        --history "$out/$name.csv" -o "$out/$name.onnx" >"$out/$name.log" 2>&1 || { tail -n 1 "$out/$name.log" && return 1; }
    echo "$name $(tail -n 1 "$out/$name.csv")"
}

row() {
    local cycles='--compat fastai-2017 --cycles'
    case $1 in
    C1) fit C1 cifar-fc --lr 1e-2 --epochs 2 ;;
    C2) fit C2 C1 --lr 1e-2 $cycles 2 ;;
    C3) fit C3 cifar-conv --lr .1 --epochs 2 ;;
    C4) fit C4 C3 --lr .1 $cycles 4 ;;
    C5) fit C5a cifar-conv-pad --lr .1 --epochs 2 && fit C5 C5a --lr .1 $cycles 2 ;;
    C6) fit C6 cifar-bn --lr 3e-2 --epochs 2 ;;
    C7) fit C7 C6 --lr .1 $cycles 4 ;;
    C7-last) fit C7-last-a cifar-bn-last --lr 3e-2 --epochs 2 && fit C7-last C7-last-a --lr .1 $cycles 4 ;;
    C8) fit C8a cifar-deep-bn --lr 1e-2 --epochs 2 && fit C8 C8a --lr 1e-2 $cycles 2 ;;
    C9) fit C9 cifar-resnet --lr 1e-2 --wd 1e-5 --epochs 2 ;;
    C10) fit C10 C9 --lr 1e-2 --wd 1e-5 $cycles 3 --cycle-mult 2 ;;
    C11) fit C11 C10 --lr 1e-2 --wd 1e-5 $cycles 8 --cycle-len 4 ;;
    C12) fit C12 cifar-resnet-wide --lr 1e-2 --wd 1e-6 --epochs 2 ;;
    C13) fit C13 C12 --lr 1e-2 --wd 1e-6 $cycles 3 --cycle-mult 2 ;;
    C14) fit C14 C13 --lr 1e-2 --wd 1e-6 $cycles 8 --cycle-len 4 ;;
    C15) "$ot" eval "$out/C14-$seed.onnx" --data "$data" --augment crop-flip --tta 4 ;;
    *)
        echo "no row $1" >&2
        return 1
        ;;
    esac
}

[ $# -gt 0 ] || set -- C1 C2 C3 C4 C5 C6 C7 C7-last C8 C9 C10 C12 C13
bad=0
for r in "$@"; do row "$r" || bad=1; done
exit $bad
