#!/usr/bin/env bash
# Installs a build into a fresh folder, moves that folder, and uses it as a stranger would: what is exported, how big it
# is, and the examples built through pkg-config and find_package, shared and static, and run on made data.
#
#     tests/check_install.sh BUILD_DIR        the last line is "N passed, N failed, N skipped"
set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1
build=$(cd "${1:?usage: check_install.sh BUILD_DIR}" && pwd) || exit 1
passed=0 failed=0 skipped=0
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

pass() {
    passed=$((passed + 1))
}
fail() {
    failed=$((failed + 1))
    printf 'FAILED %s\n' "$1"
    [ -z "${2:-}" ] || printf '%s\n' "$2" | tail -n 30 | sed 's/^/  /'
}
skip() {
    skipped=$((skipped + 1))
    printf 'skipped %s: %s\n' "$1" "$2"
}
# check NAME FINDINGS: passes when the text is empty.
check() {
    if [ -z "$2" ]; then pass; else fail "$1" "$2"; fi
}
# try NAME COMMAND...: passes when the command does.
try() {
    local name=$1 said
    shift
    if said=$("$@" 2>&1 </dev/null); then pass; else fail "$name" "$said"; fi
}

# Moved after the installation: nothing in it may depend on where it was put.
try "cmake --install" cmake --install "$build" --prefix "$tmp/first"
mv "$tmp/first" "$tmp/prefix" || exit 1
prefix=$tmp/prefix
lib=$(dirname "$(find "$prefix" -name 'libonnxtune.so' | head -n 1)")
if [ ! -e "$lib/libonnxtune.so" ]; then
    fail "a shared library is installed"
    printf '%d passed, %d failed, %d skipped\n' $passed $failed $skipped
    exit 1
fi

for file in include/onnxtune.h include/onnxtune_data.h include/onnxtune_train.h share/doc/onnxtune/LICENSE share/doc/onnxtune/NOTICE share/man/man1/onnxtune.1 bin/onnxtune; do
    try "$file is installed" test -s "$prefix/$file"
done
for file in libonnxtune.a pkgconfig/onnxtune.pc cmake/onnxtune/onnxtuneConfig.cmake; do
    try "$file is installed" test -s "$lib/$file"
done
check "no other header is installed" "$(find "$prefix/include" -type f ! -name onnxtune.h ! -name onnxtune_data.h ! -name onnxtune_train.h)"
check "no path of the build in what is installed as text" "$(grep -rlF -e "$build" -e "$PWD" "$prefix" --include=*.cmake --include=*.pc --include=*.h)"

# ---- Symbols and size ----

# A symbol that only the linker defines (_init, _fini, __bss_start, ...) is no export of ours.
nm -D --defined-only "$lib/libonnxtune.so" | awk 'NF == 3 { print $3 }' | grep -vE '^(_init|_fini|_edata|_end|__bss_start)$' | sort -u >"$tmp/exported"
sed -nE 's/^OT_API [^(]*[ *](ot_[a-z0-9_]+)\(.*/\1/p' runtime/onnxtune*.h | sort -u >"$tmp/declared"
check "only ot_ symbols are exported" "$(grep -v '^ot_' "$tmp/exported")"
check "all that is exported is declared in onnxtune.h" "$(comm -23 "$tmp/exported" "$tmp/declared")"
check "all that onnxtune.h declares is exported" "$(comm -13 "$tmp/exported" "$tmp/declared")"
check "the archive defines ot_ and the schema's onnx__ names only" \
    "$(nm -g --defined-only "$lib/libonnxtune.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | grep -vE '^(ot_|onnx__)' | grep -v '^__' | sort -u)"
check "no C++ runtime is needed" "$(ldd "$lib/libonnxtune.so" | grep -E 'stdc\+\+|libc\+\+')"
case $(readelf -d "$lib/libonnxtune.so" | sed -nE 's/.*SONAME.*\[(.*)\]/\1/p') in
libonnxtune.so.[0-9]*) pass ;;
*) fail "the shared library has a versioned SONAME" ;;
esac
strip -o "$tmp/stripped.so" "$lib/libonnxtune.so"
size=$(stat -c %s "$tmp/stripped.so")
echo "libonnxtune.so, stripped: $size bytes; $(wc -l <"$tmp/exported") functions"
[ "$size" -lt 3000000 ] && pass || fail "the stripped library is smaller than 3,000,000 bytes" "$size bytes"

# ---- The examples ----

export PKG_CONFIG_PATH=$lib/pkgconfig
read -ra flags <<<"$(pkg-config --cflags --libs onnxtune)"
read -ra static_flags <<<"$(pkg-config --static --libs onnxtune | sed 's/-lonnxtune/-l:libonnxtune.a/')"
read -ra include_flags <<<"$(pkg-config --cflags onnxtune)"
strict=(-std=c11 -O2 -Wall -Wextra -Wpedantic -Wshadow -Werror)
examples=()
for source in docs/examples/*.c; do
    examples+=("$(basename "$source" .c)")
done
for e in "${examples[@]}"; do
    try "$e by pkg-config" gcc "${strict[@]}" "docs/examples/$e.c" -o "$tmp/$e.pc" "${flags[@]}" "-Wl,-rpath,$lib"
    try "$e by pkg-config, static" gcc "${strict[@]}" "${include_flags[@]}" "docs/examples/$e.c" -o "$tmp/$e.pc_static" "${static_flags[@]}"
done
try "find_package finds it" cmake -S docs/examples -B "$tmp/examples" -DCMAKE_PREFIX_PATH="$prefix"
try "the examples by find_package" cmake --build "$tmp/examples"
check "the static examples need no libonnxtune.so" "$(ldd "$tmp"/*.pc_static "$tmp"/examples/*_static 2>&1 | grep libonnxtune)"

try "a made network" "$build/make_data" net "$tmp/net.onnx"
try "made pictures" "$build/make_data" pictures "$tmp/shapes" 12
picture=$tmp/shapes/valid/circle/000.png
for program in "$tmp"/run_model.pc "$tmp"/run_model.pc_static "$tmp"/examples/run_model "$tmp"/examples/run_model_static; do
    name=${program#"$tmp"/}
    if said=$("$program" "$tmp/net.onnx" "$picture" 2>&1) && grep -q '^fc.out: float, 10 elements' <<<"$said" &&
        [ "$(wc -l <<<"$said")" = 6 ]; then
        pass
    else
        fail "$name runs a made network on a made picture" "$said"
    fi
done
for program in "$tmp/fine_tune.pc" "$tmp/examples/fine_tune_static"; do
    name=${program#"$tmp"/}
    rm -f "$tmp/tuned.onnx"
    if said=$("$program" "$tmp/net.onnx" "$tmp/shapes" "$tmp/tuned.onnx" 2 2>&1) &&
        grep -q '^epoch 2 of 2: loss [0-9.]*, validation loss [0-9.]*, accuracy [01][.]' <<<"$said" &&
        said+=$("$tmp/run_model.pc" "$tmp/tuned.onnx" "$picture" 2>&1) && grep -q 'float, 3 elements' <<<"$said"; then
        pass
    else
        fail "$name trains a made network on made pictures" "$said"
    fi
done
if said=$("$tmp/run_model.pc" "$picture" "$picture" 2>&1) || [ "$(wc -l <<<"$said")" != 1 ]; then
    fail "run_model refuses a picture as a model, in one line" "$said"
else
    pass
fi
try "the installed command runs" "$prefix/bin/onnxtune" --version

printf '%d passed, %d failed, %d skipped\n' $passed $failed $skipped
[ $failed = 0 ] && [ $passed -gt 0 ]
