#!/usr/bin/env bash
# Fuzzing by libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer: builds the targets of tests/fuzz/ by clang,
# makes seeds, runs each target, keeps what it finds.
#
#     tests/fuzz.sh SECONDS [TARGET...]     targets: fuzz_load fuzz_run (default: both)
#
# Each target counts as one test; the last line is "N passed, N failed, N skipped".  All are skipped where there is no
# clang with libFuzzer (Debian: clang and libclang-rt-14-dev).
#
# Environment: ONNXTUNE_BUILD         where the build goes (default: build-tests in the checkout)
#              ONNXTUNE_FUZZ_CORPUS   inputs found so far, a folder for each target, and the findings
#                                     (default: fuzz-corpus in that folder); a later run goes on from there
#              ONNXTUNE_CONFORMANCE   unpacked test data of ONNX: its models of up to 16 KiB are seeds too
#              ONNXTUNE_SHARED        mnist-8 in it is a seed
set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1
seconds=${1:-}
case $seconds in
'' | *[!0-9]*) echo "usage: tests/fuzz.sh SECONDS [TARGET...]" >&2 && exit 2 ;;
esac
shift
targets=("$@")
[ $# -gt 0 ] || targets=(fuzz_load fuzz_run)
builds=${ONNXTUNE_BUILD:-$PWD/build-tests}
corpus=${ONNXTUNE_FUZZ_CORPUS:-$builds/fuzz-corpus}
mkdir -p "$builds" "$corpus/seeds" "$corpus/findings" || exit 1

skip() {
    echo "skipped fuzzing: $1"
    echo "0 passed, 0 failed, ${#targets[@]} skipped"
    exit 0
}
command -v clang >/dev/null 2>&1 || skip "no clang here"
printf 'int LLVMFuzzerTestOneInput(const char *p, long n);\nint LLVMFuzzerTestOneInput(const char *p, long n) { return p && n < 0; }\n' |
    clang -x c -fsanitize=fuzzer,address,undefined -o "$corpus/probe" - 2>/dev/null || skip "clang has no libFuzzer here"
rm -f "$corpus/probe"

. tools/setup.sh
if ! { cmake -S . -B "$builds/fuzz" -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DONNXTUNE_FUZZ=ON &&
    cmake --build "$builds/fuzz" -j "$(setup_jobs)" --target fuzz_seeds "${targets[@]}"; } >"$builds/fuzz.log" 2>&1; then
    tail -n 30 "$builds/fuzz.log"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi

"$builds/fuzz/fuzz_seeds" "$corpus/seeds" 200 || exit 1
if [ -n "${ONNXTUNE_CONFORMANCE:-}" ]; then
    find "$ONNXTUNE_CONFORMANCE" -name '*.onnx' -size -16k | while read -r file; do
        cp "$file" "$corpus/seeds/$(basename "$(dirname "$file")").$(basename "$file")"
    done
fi
[ ! -f "${ONNXTUNE_SHARED:-}/data/models/mnist-8/model.onnx" ] ||
    cp "$ONNXTUNE_SHARED/data/models/mnist-8/model.onnx" "$corpus/seeds/mnist-8"

passed=0 failed=0
for target in "${targets[@]}"; do
    mkdir -p "$corpus/$target"
    log=$corpus/$target.log
    UBSAN_OPTIONS=print_stacktrace=1 "$builds/fuzz/$target" "$corpus/$target" "$corpus/seeds" \
        -max_total_time="$seconds" -max_len=32768 -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=512 \
        -artifact_prefix="$corpus/findings/$target-" -print_final_stats=1 >"$log" 2>&1
    if [ $? = 0 ]; then
        passed=$((passed + 1))
        echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs run in $seconds s, none failed"
    else
        failed=$((failed + 1))
        echo "FAILED $target"
        grep -aE -m 12 'ERROR|SUMMARY|runtime error|not so:|^ +#[0-9]|Test unit written' "$log"
    fi
done
printf '%d passed, %d failed, 0 skipped\n' $passed $failed
[ $failed = 0 ]
