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
here=$(realpath "$(dirname "$0")")
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
# Like run, but the command gets a signal as soon as it has saved a checkpoint of its result.
run_until_saved() {
    local signal=$1 result=$2
    shift 2
    env --default-signal=INT,TERM "$ot" "$@" -o "$result" >out 2>err </dev/null &
    local pid=$!
    for _ in $(seq 1000); do [ -e "$result.ckpt/latest" ] && break; sleep 0.01; done
    kill -"$signal" $pid
    wait $pid
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
for c in $("$ot" --help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p' | grep -v '^onnxtune$'); do
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
    [ "$c" = lm ] && continue
    run "$c" tiny.onnx --threads 0
    error "$c --threads 0" 2 "threads"
done
for c in train eval generate; do
    run lm $c --help
    check "lm $c --help" 0
    says "lm $c --help: usage" out "^Usage: onnxtune lm $c"
    says "lm $c --help: an example" out "^Example:"
    run lm $c --nonsense
    error "lm $c --nonsense" 2 "nonsense"
    run lm $c
    error "lm $c without anything" 2 "missing"
    run lm $c tiny.onnx --threads 0
    error "lm $c --threads 0" 2 "threads"
done
run lm nosuch
error "lm: no such command" 2 "nosuch"

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

# ---- check ----
run check tiny.onnx
check "check" 0
says "check: nothing found" out '^tiny.onnx: 0 findings$'
run check tiny.onnx --json
check "check --json" 0
json "check --json is JSON"
says "check --json: findings" out '"findings": \[\]'
run check unknown.onnx
check "check: an unknown operator" 1
says "check: a line a finding" out '^unknown.onnx: node [0-9]+ .*Frobnicate.*no such operator'
says "check: how many" out '^unknown.onnx: [1-9][0-9]* findings?$'
run check unknown.onnx --json
json "check --json of findings is JSON"
run check cut.onnx
check "check: a file that was cut" 1
says "check: it is a finding" out '^cut.onnx: '
run check nosuch.onnx
error "check: no file" 1 "nosuch.onnx: .*No such file"
run check tiny.onnx unknown.onnx
error "check: two models" 2 "unknown.onnx"
run check tiny.onnx --rtol 1
error "check: --rtol for a model" 2 "--rtol"
mkdir -p cases/good/test_data_set_0 cases/off/test_data_set_0 cases/lost/test_data_set_0 cases/bare
cp tiny.onnx cases/bare/model.onnx
cp unknown.onnx cases/lost/model.onnx
for c in good off; do cp pair.onnx cases/$c/model.onnx && cp pair_in.pb cases/$c/test_data_set_0/input_0.pb; done
cp pair_out.pb cases/good/test_data_set_0/output_0.pb
cp pair_in.pb cases/off/test_data_set_0/output_0.pb
run check cases
check "check DIR: one fails" 1
says "check DIR: the case that fails" out '^FAILED off: output 0 .*elements differ'
says "check DIR: a missing operator" out '^skipped lost: .*Frobnicate'
says "check DIR: no test data" out '^skipped bare: no test data'
says "check DIR: reasons" out '^ +1 skipped: no test data$'
if [ "$(tail -n 1 out)" = "1 passed, 1 failed, 2 skipped" ]; then ok "check DIR: the last line"; else bad "check DIR: the last line"; fi
run check cases/good/ cases/off --atol 100
check "check DIR --atol" 0
run check cases --rtol x
error "check --rtol x" 2 "rtol"
echo good >must.txt
run check cases --list must.txt
check "check --list: those of the list pass" 0
if [ "$(tail -n 1 out)" = "1 passed, 0 failed, 3 skipped" ]; then ok "check --list: the last line"; else bad "check --list: the last line"; fi
printf 'good\nlost\ngone\n' >must.txt
run check cases --list must.txt --json
check "check --list: one does not pass" 1
json "check --list --json is JSON"
says "check --list --json: the counts" out '"failed": 2'
run check cases --list nosuch.txt
error "check --list: no file" 1 "nosuch.txt"
run check data
error "check: a folder without models" 1 "data: .*model.onnx"

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

# ---- lm ----
for i in $(seq 400); do printf 'the cat sat on the mat, and the dog ran %d times.\n' $((i % 9)); done >cats.txt
run lm train --text cats.txt --hidden 24 --batch 8 --epochs 2 --lr .01 --sample 30 --history lm.csv -o lm.onnx
check "lm train" 0
says "lm train: an epoch" out '^ +2 +[0-9.]+ +[0-9.]+ +[0-9.]+ % +0.01'
says "lm train: the data" err '^[0-9,]+ characters train and [0-9,]+ validate, 2[0-9] kinds of characters$'
if [ "$(wc -l <lm.csv)" = 3 ]; then ok "lm train --history"; else bad "lm train --history"; fi
run check lm.onnx
check "lm train: the result is a model" 0
run lm train --text cats.txt --hidden 24 --batch 8 --epochs 2 --lr .01 --threads 3 -o lm2.onnx
if cmp -s lm.onnx lm2.onnx; then ok "lm train: the same bits for 3 threads"; else bad "lm train: the same bits for 3 threads"; fi
long=(lm train --text cats.txt --hidden 24 --batch 8 --epochs 40 --lr .01)
run "${long[@]}" -o lm4.onnx
run_until_saved INT lm3.onnx "${long[@]}"
check "lm train: SIGINT" 130
run "${long[@]}" --resume lm3.onnx.ckpt -o lm3.onnx
check "lm train --resume" 0
for m in lm3 lm4; do "$ot" lm eval $m.onnx --text cats.txt --batch 8 --json >$m.json 2>&1; done
if [ -s lm4.json ] && cmp -s lm3.json lm4.json; then ok "lm train --resume: as in one go"; else bad "lm train --resume: as in one go"; fi
run lm train lm.onnx --text cats.txt --batch 8 --steps 3 --json -o lm5.onnx
check "lm train MODEL" 0
json "lm train --json is JSON"
run lm train --text cats.txt --net char-window --hidden 16 --steps 4 -o window.onnx
check "lm train --net" 0
run lm train --text cats.txt --cell lstm --hidden 16 --batch 4 --epochs 2 --cycle-steps 20 --cycle-mult 2 --compat fastai-2017 --sample 10 -o lstm.onnx
check "lm train --cycle-steps --compat" 0
run lm eval lm.onnx --text cats.txt --batch 8
check "lm eval" 0
says "lm eval: the loss" out '^loss +[0-9]\.[0-9]+$'
run lm eval lm.onnx --text cats.txt --batch 8 --split train --json
json "lm eval --json is JSON"
run lm generate lm.onnx --prompt 'the ' --length 50
check "lm generate" 0
says "lm generate: the prompt" out '^the '
cp out first
run lm generate lm.onnx --prompt 'the ' --length 50
if cmp -s out first; then ok "lm generate: the same seed, the same text"; else bad "lm generate: the same seed, the same text"; fi
run lm generate lm.onnx --prompt 'the ' --length 50 --temperature 0 --json
json "lm generate --json is JSON"
run lm generate lm.onnx --prompt 'the #'
error "lm generate: an unknown character" 1 "lm.onnx: .*'#'"
run lm generate window.onnx --prompt 'the'
error "lm generate: a prompt shorter than the window" 2 "window.onnx: .*3 characters.*8"
run lm generate tiny.onnx
error "lm generate: no vocabulary" 1 "tiny.onnx: .*onnxtune.vocab"
run lm generate lm.onnx --temperature -1
error "lm generate --temperature -1" 2 "temperature"
: >empty.txt
run lm train --text empty.txt -o bad.onnx
error "lm train: an empty text" 1 "empty.txt: the text is empty"
printf x >one.txt
run lm train --text one.txt -o bad.onnx
error "lm train: one character" 1 "one.txt: .*1 characters"
printf 'abc\377def' >latin.txt
run lm train --text latin.txt -o bad.onnx
error "lm train: no UTF-8" 1 "latin.txt: byte 3"
run lm train --text cats.txt --batch 100000 -o bad.onnx
error "lm train: a batch bigger than the text" 1 "cats.txt: .*100000 rows"
run lm eval lm.onnx --text latin.txt
error "lm eval: no UTF-8" 1 "latin.txt: byte 3"
printf 'the cat #\n' >sharp.txt
run lm eval lm.onnx --text sharp.txt
error "lm eval: a character that the model lacks" 1 "sharp.txt: character 8 is '#'"
run lm train --text cats.txt --cell gru --net char-rnn -o bad.onnx
error "lm train: two nets" 2 "--cell and --net"
run lm train lm.onnx --text cats.txt --hidden 5 -o bad.onnx
error "lm train: layers of a model that is there" 2 "lm.onnx.*own layers"
run lm train --text cats.txt --net nosuch -o bad.onnx
error "lm train: no such net" 2 "nosuch"
run lm train --text cats.txt --cycle-steps 5 --cycles 2 -o bad.onnx
error "lm train: two kinds of cycles" 2 "cycle-steps"
run lm train --text cats.txt --memory 10K -o bad.onnx
error "lm train: over the memory cap" 1 "cats.txt: .*10240"
if [ -e bad.onnx ]; then bad "lm: no file after an error"; else ok "lm: no file after an error"; fi

# ---- new ----
run new --list
check "new --list" 0
says "new --list: a net" out '^char-gru +GRU with a state +classes 85, embed 42, hidden 256, layers 1$'
run new --list --json
json "new --list --json is JSON"
run new char-gru --classes 56 -o gru.onnx
check "new" 0
says "new: what came out" out '^gru.onnx: 6 layers, 247,144 parameters, output prediction float\[T,N,56\]$'
run check gru.onnx
check "new: the result is a model" 0
run new char-gru --classes 56 -o gru2.onnx
if cmp -s gru.onnx gru2.onnx; then ok "new: the same seed, the same weights"; else bad "new: the same seed, the same weights"; fi
run new char-gru --classes 56 --seed 7 -o gru2.onnx
if cmp -s gru.onnx gru2.onnx; then bad "new: another seed"; else ok "new: another seed"; fi
run new nosuch -o bad.onnx
error "new: no such net" 2 "nosuch"
run new char-gru
error "new without -o" 2 "-o"
run new char-gru --size 32 -o bad.onnx
error "new: an option of another net" 2 "char-gru.*size"
run new char-gru --init id -o bad.onnx
error "new: no such initialisation" 2 "char-gru.*'id'"
run new char-gru --hidden 0 -o bad.onnx
error "new --hidden 0" 2 "hidden: 0"

# ---- surgery ----
run surgery tiny.onnx --cut -3 --append "conv 3 3x3 pad=1; gap; flatten; logsoftmax" -o grown.onnx
check "surgery" 0
says "surgery: what came out" out '^grown.onnx: 7 layers, 227 parameters, output .* float\[N,3\]$'
run show grown.onnx
check "surgery: the result is a model" 0
says "surgery: the new layers" out ' Conv +\[N,3,32,32\] +111$'
run run grown.onnx --fill random
check "surgery: the result runs" 0
cp grown.onnx again.onnx
run surgery tiny.onnx --cut pool --append "conv 3 3x3 pad=1; gap; flatten; logsoftmax" -o grown.onnx --json
json "surgery --json is JSON"
if cmp -s grown.onnx again.onnx; then ok "surgery: the same seed, the same weights"; else
    if [ "$(stat -c %s grown.onnx)" -ge "$(stat -c %s again.onnx)" ]; then ok "surgery: by name as by number"; else bad "surgery: by name as by number"; fi
fi
run surgery tiny.onnx --append softmax --rename scores=logits --set-batch 4 -o renamed.onnx
check "surgery --rename --set-batch" 0
run show renamed.onnx
says "surgery --set-batch: the input" out 'float\[4,3,32,32\]'
says "surgery --rename: the name" out 'logits'
run surgery tiny.onnx --cut 99 -o bad.onnx
error "surgery: no such layer" 2 "tiny.onnx: .*99"
run surgery tiny.onnx --append "conv" -o bad.onnx
error "surgery: half a layer" 2 "tiny.onnx: .*conv"
run surgery tiny.onnx --cut -1
error "surgery without -o" 2 "-o"
run surgery tiny.onnx -o bad.onnx
error "surgery without anything to do" 2 "--cut"
run surgery tiny.onnx --cut -1 -o nosuch/bad.onnx
error "surgery: no folder for the result" 1 "nosuch/bad.onnx: "
if [ -e bad.onnx ]; then bad "surgery: no file after an error"; else ok "surgery: no file after an error"; fi

# ---- tune ----
run tune tiny.onnx --data data --lr .05 --epochs 4 --batch 4 -o out.onnx --history h.csv
check "tune" 0
says "tune: a line an epoch" out '^ +4 +[0-9.]+ +[0-9.]+ +100\.00 % +0\.05 '
says "tune: what trains" err '126 of 126 parameters'
if [ "$(wc -l <h.csv)" = 5 ] && head -n 1 h.csv | grep -q '^epoch,step,train_loss,'; then ok "tune --history"; else bad "tune --history"; fi
run predict out.onnx red.ppm blue.ppm --top 1 --json
says "tune: it learnt red" out '"label": "red"'
says "tune: it learnt blue" out '"label": "blue"'
run tune tiny.onnx --data data --lr .05 --epochs 4 --batch 4 -o out2.onnx --quiet --threads 1 --loaders 1
check "tune --quiet" 0
silent "tune --quiet: nothing on stderr" err
if cmp -s out.onnx out2.onnx; then ok "tune: the same bits with one thread"; else bad "tune: the same bits with one thread"; fi
run tune tiny.onnx --data data --lr 1e-3,1e-2,5e-2 --cycles 2 --cycle-mult 2 --batch 4 --keep best -o out3.onnx --json
check "tune --cycles --json" 0
json "tune --json is JSON"
if [ "$(grep -c '"epoch":' out)" = 3 ]; then ok "tune --cycles 2 --cycle-mult 2: three epochs"; else bad "tune --cycles 2 --cycle-mult 2: three epochs"; fi
run tune tiny.onnx --data data --epochs 2 --decay-every 1 --decay .5 --batch 4 --augment none -o out5.onnx --history out5.csv
check "tune --decay-every" 0
run tune tiny.onnx --data data --epochs 1 --batch 4 --channel-stats -o out5.onnx
says "tune --channel-stats" err '^channels: mean [0-9.]+, [0-9.]+, [0-9.]+, deviation [0-9.]+'
run tune tiny.onnx --data data --cycles 1 --decay-every 1 -o out5.onnx
check "tune --cycles --decay-every" 2
run tune tiny.onnx --data data --freeze-to -1 --optimizer adam --lr .01 --one-cycle 2 --batch 4 --augment none -o out4.onnx
check "tune --freeze-to --one-cycle" 0
says "tune --freeze-to: what trains" err '10 of 126 parameters; 0 of 1 Batch'
says "tune --freeze-to: features are kept" err 'frozen layers, 0\.\.[0-9]+, make of .* in memory'
run tune tiny.onnx --data data --freeze-to -1 --optimizer adam --lr .01 --one-cycle 2 --batch 4 --augment none -o out6.onnx --cache off
cmp -s out4.onnx out6.onnx && cache=same || cache=different
for i in 1 2; do
    run tune tiny.onnx --data data --freeze-to -1 --optimizer adam --lr .01 --one-cycle 2 --batch 4 --augment none -o out6.onnx --cache disk
    check "tune --cache disk" 0
    cmp -s out4.onnx out6.onnx || cache=different
done
says "tune --cache disk: found again" err 'pictures were there from an earlier run'
if [ $cache = same ]; then ok "tune --cache: the same bits"; else bad "tune --cache: the same bits"; fi
run tune tiny.onnx --data data --freeze-to -1 --epochs 2 --batch 4 -o out6.onnx
says "tune: features are not kept with augmentation" err 'not kept: augmentation'
run tune tiny.onnx --data data --freeze-to -1 --epochs 3 --batch 4 --cache-variants 2 -o out6.onnx
says "tune --cache-variants" err '^2 variants of each for training'
run tune tiny.onnx --data data --freeze-to -1 --epochs 2 --batch 4 --cache memory -o bad.onnx
error "tune --cache memory with augmentation" 2 "cannot be kept: augmentation"
run tune tiny.onnx --data data --lr .05 --steps 3 --batch 4 -o out5.onnx
check "tune --steps" 0
says "tune --steps: so many" err '1 epochs, 3 steps'
for bits in "--epochs 2 --cycles 2" "--cycle-len 2" "--optimizer best" "--lr x" "--lr 1,,2" "--momentum 2" "--batch 0" "--nesterov --momentum 0" "--memory 5Q" "--augment all" "--keep both" "--cache all" "--cache-variants 0" "--label-smoothing 2"; do
    # shellcheck disable=SC2086
    run tune tiny.onnx --data data -o bad.onnx $bits
    error "tune $bits" 2 "$(set -- $bits; echo "${1#--}")"
done
run tune tiny.onnx --data data
error "tune without -o" 2 "-o"
run tune tiny.onnx -o bad.onnx
error "tune without --data" 2 "--data"
run tune tiny.onnx --data nosuch -o bad.onnx
error "tune: no folder" 1 "nosuch: "
run tune grown.onnx --data data -o bad.onnx
error "tune: three outputs for two classes" 1 "grown.onnx: .*3.*2"
run tune tiny.onnx --data data --freeze-to 9 -o bad.onnx
error "tune: no such layer" 2 "tiny.onnx: .*9"
if [ -e bad.onnx ]; then bad "tune: no file after an error"; else ok "tune: no file after an error"; fi

# A signal in the middle: the state is saved, the exit code says so, and a resumed run ends with the same bits.
long=(tune tiny.onnx --data data --lr .01 --epochs 400 --batch 2 --quiet)
run "${long[@]}" -o whole.onnx
check "tune: a longer run" 0
for signal in INT:130 TERM:143; do
    rm -rf stop.onnx stop.onnx.ckpt
    run_until_saved "${signal%:*}" stop.onnx "${long[@]}"
    check "tune: SIG${signal%:*}" "${signal#*:}"
    says "tune: SIG${signal%:*}: how to go on" err '--resume stop.onnx.ckpt'
    if [ -e stop.onnx ]; then bad "tune: SIG${signal%:*}: no result"; else ok "tune: SIG${signal%:*}: no result"; fi
done
run "${long[@]}" -o stop.onnx --resume stop.onnx.ckpt
check "tune --resume" 0
run export whole.onnx -o a.onnx --quiet
run export stop.onnx -o b.onnx --quiet
run run a.onnx --fill random
cp out first
run run b.onnx --fill random
if cmp -s out first; then ok "tune --resume: the same bits"; else bad "tune --resume: the same bits"; fi
run "${long[@]}" --batch 4 -o stop.onnx --resume stop.onnx.ckpt
error "tune --resume with other options" 2 "batch|steps"
run "${long[@]}" -o stop.onnx --resume nosuch
error "tune --resume: no checkpoint" 1 "nosuch"

# ---- lr-find ----
run lr-find tiny.onnx --data data --batch 4 --steps 40 -o rate.svg
check "lr-find" 0
says "lr-find: the suggestion" out '^suggested rate: [0-9.e-]+$'
says "lr-find -o: a picture" rate.svg '^<svg .*</svg>|^<svg '
run lr-find tiny.onnx --data data --batch 4 --steps 40 --json
json "lr-find --json is JSON"
run lr-find tiny.onnx --data data --find-from 1 --find-to .1
error "lr-find: from above to" 2 "find-from"

# ---- eval ----
run eval out.onnx --data data
check "eval" 0
says "eval: the sum" out '^8 pictures: loss [0-9.]+, accuracy 100.00 % \(0 wrong\)$'
says "eval: a class" out '^red +4 +4 +100.00 %'
says "eval: the matrix" out '^blue +4 +0$'
run eval out.onnx --data data --tta 3 --split train --json
check "eval --tta --split --json" 0
json "eval --json is JSON"
says "eval --split train" out '"samples": 16'
run eval out.onnx --data data --split test
error "eval --split test" 2 "split"
run eval grown.onnx --data data
error "eval: three outputs for two classes" 1 "grown.onnx: .*3.*2"

# ---- show, of training ----
run show tiny.onnx --freeze-to 1
check "show --freeze-to" 0
says "show --freeze-to: frozen" out ' conv .* frozen'
says "show --freeze-to: trains" out ' bn .* yes +statistics update'
run show tiny.onnx --freeze-to 1 --json
json "show --freeze-to --json is JSON"
says "show --freeze-to --json: trains" out '"trains": true'
run show tiny.onnx --grad
check "show --grad" 0
says "show --grad: the optimiser" out 'SgdStep'
run show tiny.onnx --grad -o step.onnx
check "show --grad -o" 0
run show step.onnx
says "show --grad -o: a graph" out 'SgdStep'

# ---- export ----
run export out.onnx --fold-bn --with-softmax -o final.onnx
check "export" 0
says "export: verified" out '^verified: '
run show final.onnx
if grep -q BatchNormalization out; then bad "export --fold-bn"; else ok "export --fold-bn"; fi
says "export --with-softmax" out 'Softmax'
run export out.onnx --fold-bn -o final.onnx --json
check "export --json" 0
json "export --json is JSON"
run export out.onnx --opset 21 --external-data weights.bin --set-batch 2 -o external.onnx
check "export --opset --external-data" 0
run show external.onnx
says "export --opset" out 'opset 21$'
says "export --set-batch" out 'float\[2,3,32,32\]'
run export out.onnx --opset 9 -o bad.onnx
error "export: downwards" 1 "out.onnx: .*9"
run export out.onnx
error "export without -o" 2 "-o"

# ---- bench ----
run bench tiny.onnx --batch 1,3 --train --repeat 3 --profile
check "bench" 0
says "bench: threads and instruction set" out '^tiny.onnx: [0-9]+ threads?, (baseline|avx2|avx512)$'
says "bench: load" out '^load: [0-9.]+ ms, [0-9.]+ to the first result \(medians of [3-5]; least [0-9.]+ and [0-9.]+\)$'
says "bench: peak memory" out '^peak memory of the process: [0-9.]+ [kMG]B$'
says "bench: the heads" out '^mode +batch +runs +least ms +median ms +samples/s +planned$'
for row in "infer +1" "infer +3" "train +1" "train +3"; do
    says "bench: $row" out "^$row +3 +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ [kM]B\$"
done
says "bench --profile: of each batch" out '^infer, batch 3: 3 nodes, [0-9.]+ ms'
says "bench --profile: a node and its GFLOP/s" out '^ *[0-9.]+ % +[0-9.]+ +[0-9.]+ +ConvFused +.*3x4x32x32 +conv$'
says "bench --profile: multiply-adds" out '^infer, batch 1: .*; 0\.0001106 G multiply-adds$'
says "bench --profile: of a training step" out ' ConvGradW '
silent "bench: nothing on stderr" err
run bench tiny.onnx --shape input=4x3x32x32 --repeat 3 --train --freeze-to -1 --threads 1 --profile --json
check "bench --json" 0
json "bench --json is JSON"
for key in model threads isa load_ms peak_bytes runs batch mode min_ms median_ms images_per_s nodes node operator kernel share gflops; do
    says "bench --json: $key" out "\"$key\": "
done
says "bench --json: the batch of --shape" out '"batch": 4'
says "bench --json: training" out '"mode": "train"'
run bench tiny.onnx --repeat 3 --json
says "bench --json without --profile: no nodes" out '"nodes": \[\]'
run bench tiny.onnx --repeat 3 --batch 2000 --profile
says "bench --profile: a batch in parts" out '^the batch runs in parts: .* times [0-9.]+, the output a part'
says "bench --profile: multiply-adds of the whole batch" out '^infer, batch 2000: .*; 0\.2212 G multiply-adds$'
run bench pair.onnx --repeat 3 --batch 7
check "bench: any model" 0
run bench renamed.onnx --repeat 3
says "bench: the batch that the model has" out '^infer +4 +3 '
run bench renamed.onnx --batch 3
error "bench: a batch that no input takes" 2 "renamed.onnx: --batch 3: .*4x3x32x32"
run bench tiny.onnx --shape nosuch=1x3x32x32
error "bench: no such input" 2 "tiny.onnx: .*nosuch"
run bench tiny.onnx --shape input=1x3x64x64
error "bench: a shape that does not fit" 1 "tiny.onnx: .*32.*64"
run bench tiny.onnx --freeze-to 1
error "bench --freeze-to without --train" 2 "--train"
run bench tiny.onnx --train --freeze-to 99 --repeat 3
error "bench: no such layer" 2 "tiny.onnx: .*99"
run bench tiny.onnx --repeat 2
error "bench --repeat 2" 2 "repeat: 2"
run bench tiny.onnx --batch 1,0
error "bench --batch 0" 2 "batch: 0"
run bench unknown.onnx
error "bench: missing operators" 1 "unknown.onnx: .*Frobnicate"
run bench tiny.onnx --memory 1K
error "bench: over the memory cap" 1 "tiny.onnx: .*1024"

# ---- the manuals say what --help says ----
docs=$here/../docs
for c in $("$ot" --help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p' | grep -v '^onnxtune$') "lm train" "lm eval" "lm generate"; do
    lost=
    for o in $("$ot" $c --help | grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
        grep -qF -- "$o" "$docs/cli.md" || lost="$lost $o (cli.md)"
        sed 's/\\-/-/g' "$docs/onnxtune.1" | grep -qF -- "$o" || lost="$lost $o (onnxtune.1)"
    done
    if [ -z "$lost" ]; then ok "manuals: $c"; else bad "manuals: $c lacks$lost"; fi
done
if grep -qF "\"$("$ot" --version | head -n 1)\"" "$docs/onnxtune.1"; then ok "man page: the version"; else bad "man page: the version"; fi

# ---- a terminal ----
if command -v script >/dev/null; then
    TERM=xterm script -qec "$ot tune tiny.onnx --data data --epochs 2 --batch 4 -o tty.onnx" typescript >/dev/null </dev/null
    says "a terminal: the bar" typescript '\[[#.]{20}\] [0-9]+/8'
    says "a terminal: rewritten in place" typescript $'\r'
    says "a terminal: bold heads" <(TERM=xterm script -qec "$ot show tiny.onnx" /dev/null </dev/null) $'\033\\[1m'
    if TERM=xterm NO_COLOR=1 script -qec "$ot show tiny.onnx" /dev/null </dev/null | grep -q $'\033'; then bad "NO_COLOR"; else ok "NO_COLOR"; fi
else
    skip "a terminal: no script command"
fi

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
