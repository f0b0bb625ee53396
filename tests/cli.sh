#!/usr/bin/env bash
# The command from outside: every subcommand, exit codes, error lines, JSON, files.
#
#     tests/cli.sh BUILD/onnxtune
#
# Beside the command must lie onnxtune-make-samples.  Photos and real models of ONNXTUNE_SHARED are used where they are.
# Prints a line a check; the last line is "N passed, N failed, N skipped".
set -u
export LC_ALL=C
ot=$(realpath "$1")
bin=$(dirname "$ot")
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
export XDG_CACHE_HOME=$tmp/cache
"$bin/onnxtune-make-samples" "$tmp" || exit 1
cd "$tmp" || exit 1
passed=0 failed=0 skipped=0
rc=0

ok() {
    echo "ok      $1"
    passed=$((passed + 1))
}
bad() {
    echo "FAILED  $1"
    printf '  exit code %s\n' "$rc"
    sed 's/^/  out: /' out | head -n 8
    sed 's/^/  err: /' err | head -n 8
    failed=$((failed + 1))
}
skip() {
    echo "skipped $1"
    skipped=$((skipped + 1))
}
# Runs the command; out and err keep what it said.
run() {
    "$ot" "$@" >out 2>err </dev/null
    rc=$?
}
# check WHAT CODE: the last run ended with this code.
check() {
    if [ "$rc" = "$2" ]; then ok "$1"; else bad "$1"; fi
}
# says WHAT FILE REGEX: a line of out or err fits.
says() {
    if grep -qE -- "$3" "$2"; then ok "$1"; else bad "$1 (no '$3' in $2)"; fi
}
silent() {
    if [ ! -s "$2" ]; then ok "$1"; else bad "$1 ($2 is not empty)"; fi
}
# json WHAT: out is one JSON value and nothing else.
json() {
    if command -v jq >/dev/null; then
        if jq -es 'length == 1' out >/dev/null 2>&1; then ok "$1"; else bad "$1"; fi
    elif command -v python3 >/dev/null; then
        if python3 -c 'import json, sys; json.load(sys.stdin)' <out 2>/dev/null; then ok "$1"; else bad "$1"; fi
    else
        skip "$1: neither jq nor python3 is here"
    fi
}
# An error is one line with the program and the file, and an exit code; a second line may say what to do.
error() { # error WHAT CODE REGEX
    check "$1: exit code $2" "$2"
    if [ "$(wc -l <err)" -le 2 ] && grep -qE -- "^onnxtune[a-z -]*: .*$3" <(head -n 1 err); then
        ok "$1: the line"
    else
        bad "$1: the line has no '$3'"
    fi
}


# ---- The program itself ----
run --version
check "--version" 0
for word in '^onnxtune [0-9]' 'newest opset +[0-9]+ \(IR version [0-9]+\)' 'instruction set' 'libraries .*protobuf-c.*jansson' 'devices +cpu'; do
    says "--version: $word" out "$word"
done
run --help
check "--help" 0
says "--help lists the commands" out '^  show '
run
check "no command: exit code" 2
run frobnicate
error "unknown command" 2 "frobnicate"
for c in $(sed -n 's/^  \([a-z-]*\)  .*/\1/p' < <("$ot" --help) | grep -v onnxtune); do
    run "$c" --help
    check "$c --help" 0
    says "$c --help: usage" out "^Usage: onnxtune $c"
    says "$c --help: an example" out "^Examples?:"
    run "$c" -h
    check "$c -h" 0
    run "$c" --nonsense
    error "$c --nonsense" 2 "nonsense"
    run "$c"
    error "$c without a model" 2 "missing"
    run "$c" tiny.onnx --threads 0
    error "$c --threads 0" 2 "threads"
done

# ---- show ----
run show tiny.onnx
check "show" 0
says "show: the input" out 'inputs +input +float\[N,3,32,32\]'
says "show: a layer" out '^ +0 +conv +Conv +\[N,4,32,32\] +108$'
says "show: the last layer" out '^ +5 +scores +Gemm +\[N,2\] +10$'
says "show: totals" out '^6 layers, 126 parameters$'
says "show: memory" out '^memory.*activations'
silent "show: nothing on stderr" err
run show tiny.onnx --shape input=4x3x32x32 --explain
check "show --shape --explain" 0
says "show --shape: shapes" out ' \[4,4,32,32\] '
says "show --explain: kernels" out 'cpu, '
run show tiny.onnx --json
check "show --json" 0
json "show --json is JSON"
says "show --json: parameters" out '"parameters": 126'
run show tiny.onnx --shape input=4x3x32
error "show: a shape of another rank" 1 "tiny.onnx: .*rank"
run show tiny.onnx --shape input=axb
error "show: no shape" 2 "axb"
run show tiny.onnx --shape nosuch=1x3x32x32
error "show: a shape for no input" 2 "nosuch"
run show unknown.onnx
error "show: missing operators" 1 "unknown.onnx: .*Frobnicate.*Unclever"
says "show: and the layers all the same" out 'Frobnicate'
run show nosuch.onnx
error "show: no file" 1 "nosuch.onnx: .*No such file"
head -c 100 tiny.onnx >cut.onnx
run show cut.onnx
error "show: a file that was cut" 1 "cut.onnx: "
: >empty.onnx
run show empty.onnx
error "show: an empty file" 1 "empty.onnx: "
run show tiny.onnx --memory 1K
error "show: over the memory cap" 1 "tiny.onnx: .*1024"
"$ot" show tiny.onnx 2>err | head -n 1 >out
says "show into a pipe that closes" out "tiny.onnx"
"$ot" show tiny.onnx >/dev/full 2>err
rc=$?
error "a full disk" 1 "stdout"

# ---- run ----
run run tiny.onnx --fill random
check "run" 0
says "run: name, type, shape, summary" out '^scores  float 1x2  min .* max .* mean .* std '
cp out first
run run tiny.onnx --fill random --threads 1
if cmp -s out first; then ok "run: the same with one thread"; else bad "run: the same with one thread"; fi
run run tiny.onnx --fill random --seed 7
if cmp -s out first; then bad "run: another seed"; else ok "run: another seed"; fi
run run tiny.onnx --fill random --shape input=3x3x32x32 --value relu=relu.npy --value pool
check "run --value" 0
says "run --value: of the middle" out '^relu  float 3x4x32x32'
says "run --value: a second" out '^pool  float 3x4x1x1'
if [ "$(head -c 6 relu.npy | tail -c 5)" = NUMPY ] && [ "$(wc -c <relu.npy)" = $((128 + 3 * 4 * 32 * 32 * 4)) ]; then
    ok "run --value: the .npy file"
else
    bad "run --value: the .npy file"
fi
run run tiny.onnx --input input=red.ppm --size 32 --json
check "run on a picture" 0
json "run --json is JSON"
run run tiny.onnx --fill zeros --value nosuch
error "run: no such value" 2 "tiny.onnx: .*nosuch"
run run tiny.onnx
error "run: an input is not given" 2 "tiny.onnx: .*input"
run run tiny.onnx --input other=relu.npy
error "run: no such input" 2 "other"
run run tiny.onnx --input input=relu.npy
error "run: a tensor of another shape" 1 "tiny.onnx: "
run run tiny.onnx --input input=nosuch.npy
error "run: no such file" 1 "nosuch.npy: .*No such file"
run run tiny.onnx --fill ones
error "run: --fill ones" 2 "ones"
run run tiny.onnx --fill zeros --device cuda
check "run --device cuda: an exit code" 1
run run unknown.onnx --fill zeros
error "run: missing operators" 1 "Frobnicate"

# ---- predict ----
printf 'sky\nfire\n' >labels.txt
run predict tiny.onnx red.ppm blue.ppm --labels labels.txt
check "predict" 0
says "predict: the file" out '^red.ppm$'
says "predict: probability, index, name" out '^ +[0-9.]+ % +[01] +(sky|fire)$'
run predict tiny.onnx red.ppm blue.ppm --labels labels.txt --top 1 --json
check "predict --json" 0
json "predict --json is JSON"
says "predict --json: file" out '"file": "blue.ppm"'
says "predict --json: label" out '"label": "(sky|fire)"'
if [ "$(grep -c '"index"' out)" = 2 ]; then ok "predict --top 1"; else bad "predict --top 1"; fi
run predict tiny.onnx red.ppm
says "predict without labels" out 'class [01]'
run predict tiny.onnx
error "predict: no picture" 2 "picture"
run predict tiny.onnx labels.txt red.ppm
error "predict: no picture file" 1 "labels.txt: "
says "predict: the others all the same" out '^red.ppm$'
run predict tiny.onnx red.ppm --labels nosuch.txt
error "predict: no labels file" 1 "nosuch.txt: "
run predict tiny.onnx red.ppm --size 16
error "predict: another size than the model's" 1 "tiny.onnx: "
run predict tiny.onnx red.ppm --mean 1,2
error "predict: two means" 2 "mean"
run predict tiny.onnx red.ppm --top 0
error "predict: --top 0" 2 "top"

models=${ONNXTUNE_SHARED:-}/data/models photos=${ONNXTUNE_SHARED:-}/data/photos
if [ -f "$models/resnet34-grown.onnx" ]; then
    run predict "$models/resnet34-grown.onnx" "$photos/dog-samoyed.jpg" --labels "$models/imagenet_classes.txt" --top 1
    says "predict: resnet34-grown sees a Samoyed" out 'Samoyed'
    run show "$models/resnet34-grown.onnx"
    says "show: resnet34-grown" out '^[0-9]+ layers, 21,797,672 parameters$'
else
    skip "real models: ONNXTUNE_SHARED has none"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
