#!/usr/bin/env bash
# The rows R1 to R11 of docs/results.md: the course's character models with the course's settings.
#
#     benchmarks/char_rows.sh BUILD/onnxtune nietzsche.txt OUTDIR [ROW...]
#
# SEED=N in the environment takes another seed than 42.  Each row leaves OUTDIR/ROW-SEED.csv (a line an epoch), .onnx and
# .log; the last line of the CSV is printed.
set -u
ot=$1 text=$2 out=$3
shift 3
seed=${SEED:-42}
mkdir -p "$out"

# The course made its stream in lower case, rare characters <unk>, and trained on the first 493,746 characters.
stream=(--lower --min-count 3 --valid-fraction .17831 --batch 64 --bptt 8)

row() {
    case $1 in
    R1) set -- R1 --net char3 --stride 3 --valid-fraction .00001 --batch 512 --lr 1e-2 --epochs 2 --decay-every 1 ;;
    R2) set -- R2 --net char-loop --batch 512 --lr 1e-2 --epochs 2 --decay-every 1 ;;
    R3) set -- R3 --net char-loop-concat --batch 512 --lr 1e-3 --epochs 2 --decay-every 1 ;;
    R4) set -- R4 --net char-window --batch 512 --lr 1e-3 --epochs 6 --decay-every 4 ;;
    R5) set -- R5 --net char-sequence --batch 512 --lr 1e-3 --epochs 5 --decay-every 4 ;;
    R6) set -- R6 --net char-sequence --init identity --batch 512 --lr 1e-2 --epochs 8 --decay-every 4 ;;
    R7) set -- R7 --cell rnn "${stream[@]}" --lr 1e-3 --epochs 8 --decay-every 4 ;;
    R8) set -- R8 --net char-cell "${stream[@]}" --lr 1e-3 --epochs 4 ;;
    R9) set -- R9 --cell gru "${stream[@]}" --lr 1e-3 --epochs 9 --decay-every 6 ;;
    R10) set -- R10 --cell lstm "${stream[@]}" --lr 1e-2 --wd 1e-5 --epochs 2 ;;
    R11) set -- R11 --cell lstm "${stream[@]}" --lr 1e-2 --wd 1e-5 --epochs 15 --cycle-steps 963 --cycle-mult 2 --compat fastai-2017 ;;
    *)
        echo "no row $1" >&2
        return 1
        ;;
    esac
    local name=$1-$seed
    shift
    "$ot" lm train --text "$text" --seed "$seed" --optimizer adam "$@" --history "$out/$name.csv" -o "$out/$name.onnx" >"$out/$name.log" 2>&1 ||
        { tail -n 1 "$out/$name.log" && return 1; }
    echo "$name $(tail -n 1 "$out/$name.csv")"
}

[ $# -gt 0 ] || set -- R1 R2 R3 R4 R5 R6 R7 R8 R9
bad=0
for r in "$@"; do row "$r" || bad=1; done
exit $bad
