#!/usr/bin/env bash
# What the compiler does not check: which folder may include which, what the library may not call, sorted lists, length
# of files, comments on public functions, and that the public header stands alone.  Run from anywhere; counts a check
# as one test; the last line is "N passed, N failed, N skipped".
set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 skipped=0
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# check NAME FINDINGS: passes when the text is empty.
check() {
    if [ -z "$2" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED %s\n' "$1"
        printf '%s\n' "$2" | sed 's/^/  /'
    fi
}

skip() {
    skipped=$((skipped + 1))
    printf 'skipped %s: %s\n' "$1" "$2"
}

files() {
    git ls-files -- "$@" | while read -r f; do [ -e "$f" ] && printf '%s\n' "$f"; done
}

# "FILE:LINE:PATH" of every #include "PATH" of our own.
includes() {
    files "$@" | xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' /dev/null |
        sed -E 's/^([^:]+:[0-9]+):[^"]*"([^"]+)".*/\1:\2/'
}

# ---- Includes ----

includes 'runtime/*.c' 'runtime/*.h' | awk -F: '
    BEGIN { n = split("base model graph exec train data", order, " "); for (i = 1; i <= n; i++) rank[order[i]] = i }
    {
        split($1, own, "/"); mine = own[2]
        if ($3 == "onnxtune.h" || $3 == "op.h") next
        if ($3 == "onnx.pb-c.h") { if (mine != "model") print $1 ":" $2 ": only model/ may see the wire schema"; next }
        m = split($3, part, "/"); theirs = m > 1 ? part[1] : mine
        if (mine == "op.h") { if (theirs != "base") print $1 ":" $2 ": op.h includes " $3; next }
        if (mine == "onnxtune.h" && $3 ~ /^onnxtune_(data|train)\.h$/) next
        if (mine ~ /^onnxtune/ || !(theirs in rank) || rank[theirs] > rank[mine])
            print $1 ":" $2 ": " mine " may not include " $3
    }' >"$tmp/runtime"
check "includes in runtime/ point to the left: base model graph exec train data" "$(cat "$tmp/runtime")"

check "ops/ includes op.h, base/, its kernels and itself" "$(
    includes 'ops/*.c' 'ops/*.h' | grep -v '^ops/kernels/' | while IFS=: read -r file line path; do
        case $path in
        op.h | base/*) ;;
        *) [ -e "ops/$path" ] || echo "$file:$line: $path" ;;
        esac
    done
)"
check "ops/kernels/ includes its own headers only" "$(
    includes 'ops/kernels/*' | while IFS=: read -r file line path; do
        there=$(realpath -m --relative-to=. "$(dirname "$file")/$path")
        case $there in
        ops/kernels/*) [ -e "$there" ] || echo "$file:$line: $path" ;;
        *) echo "$file:$line: $path" ;;
        esac
    done
)"
check "tools/ and docs/examples/ include onnxtune.h and themselves" "$(
    includes 'tools/*.c' 'tools/*.h' 'docs/examples/*.c' | while IFS=: read -r file line path; do
        [ "$path" = onnxtune.h ] || [ -e "$(dirname "$file")/$path" ] || echo "$file:$line: $path"
    done
)"
check "models/ includes onnxtune.h, base/, model/ and itself" "$(
    includes 'models/*.c' 'models/*.h' | while IFS=: read -r file line path; do
        case $path in
        onnxtune.h | base/* | model/*) ;;
        *) [ -e "models/$path" ] || echo "$file:$line: $path" ;;
        esac
    done
)"
check "no cuda in ops/" "$(files 'ops/*.c' 'ops/*.h' | xargs -r grep -niE '^[[:space:]]*#.*cuda' /dev/null)"

# ---- Calls ----

# Comments and strings are cut out first; snprintf and the like stay allowed.
check "the library never prints, exits, aborts or asserts" "$(
    for file in $(files 'runtime/*.c' 'runtime/*.h' 'ops/*.c' 'ops/*.h' 'models/*.c' 'models/*.h' 'cuda_ops/*'); do
        sed -E 's/"([^"\\]|\\.)*"/""/g; s://.*::; s:/\*.*\*/::g; /^[[:space:]]*\/?\*/s:.*::' "$file" |
            grep -nE '(^|[^[:alnum:]_.>])(printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror|exit|_exit|abort|assert|quick_exit)[[:space:]]*\(' |
            sed "s|^|$file:|"
    done
)"
check "only base/alloc.c allocates" "$(
    files 'runtime/*.c' 'runtime/*.h' 'ops/*.c' 'ops/*.h' 'models/*.c' 'models/*.h' | grep -v '^runtime/base/alloc\.c$' | while read -r file; do
        sed -E 's/"([^"\\]|\\.)*"/""/g; s:/\*.*\*/::g; /^[[:space:]]*\/?\*/s:.*::' "$file" |
            grep -nE '(^|[^[:alnum:]_.>])(malloc|calloc|realloc|free|strdup|strndup|aligned_alloc|posix_memalign)[[:space:]]*\(' |
            { grep -q 'realpath(' "$file" && grep -v 'free(real)' || cat; } | # realpath's result is the C library's
            sed "s|^|$file:|"
    done
)"

# ---- Text ----

over=$(files '*.c' '*.h' '*.cu' | while read -r file; do
    n=$(wc -l <"$file")
    [ "$n" -le 400 ] || echo "$n $file"
done | sort -rn)
check "no source file over 600 lines" "$(awk '$1 > 600 { print $2 " has " $1 " lines" }' <<<"$over")"
awk 'NF && $1 <= 600 { print "note: " $2 " has " $1 " lines" }' <<<"$over"
check "no path of a machine" "$(git grep -nIE '(^|[^[:alnum:]_.$}])/(work|farm|root|home)/[[:alnum:]]' -- . ':!tests/check_structure.sh')"
check "no unfinished marks" "$(git grep -nE 'TODO|FIXME|XXX' -- '*.c' '*.h' '*.cu' '*.md')"
check "no C++ in the build" "$(files '*.cpp' '*.cc' '*.cxx' '*.hpp')$(grep -nE 'LANGUAGES.*CXX|enable_language\(CXX' CMakeLists.txt */*.cmake)"

# ---- Lists ----

# sorted NAME: stdin must be in the order of strcmp, without repeats.
sorted() {
    cat >"$tmp/list"
    [ -s "$tmp/list" ] || { check "$1 is sorted" "the list is empty" && return; }
    check "$1 is sorted" "$(sort -cu "$tmp/list" 2>&1 | sed "s|.*list:||")"
}
sorted ops/op_list.h < <(sed -nE 's/^OT_OP\((.*)\)$/\1/p' ops/op_list.h)
sorted tests/suite_list.h < <(sed -nE 's/^SUITE\((.*)\)$/\1/p' tests/suite_list.h)
sorted runtime/sources.cmake < <(grep -oE 'runtime/[a-z0-9_/]+\.c' runtime/sources.cmake)
sorted ops/sources.cmake < <(grep -oE '^ +ops/[a-z0-9_]+\.c|^ +ops/kernels/[a-z0-9_/]+\.c' ops/sources.cmake)
sorted tests/sources.cmake < <(grep -oE '^ +tests/test_[a-z0-9_]+\.c' tests/sources.cmake)

cat CMakeLists.txt ./*/*.cmake ./*/CMakeLists.txt runtime/*/*.cmake 2>/dev/null >"$tmp/cmake"
check "every source is in a list of CMake's" "$(
    files 'runtime/*.c' 'ops/*.c' 'tools/*.c' 'tests/*.c' 'benchmarks/*.c' 'models/*.c' | while read -r file; do
        grep -qF "$(basename "$file")" "$tmp/cmake" || grep -qwF "$(basename "$file" .c)" "$tmp/cmake" || echo "$file"
    done
)"

# ---- The public header ----

check "every public function has a comment" "$(awk '
    # The comment stands above, on lines of its own; declarations that follow each other may share one.
    /^[[:space:]]*$/ || /^}/ || /^typedef.*;$/ { said = 0 }
    /^(\/\*| \*).*\*\/$/ { said = 1 }
    /^OT_API/ { if (!said && !/\/\*/) print FILENAME ":" FNR ": " $0 }' runtime/onnxtune*.h)"

printf '#include "onnxtune.h"\nint main(void) { return ot_last_error() == 0; }\n' >"$tmp/alone.c"
cp "$tmp/alone.c" "$tmp/alone.cpp"
for cc in gcc clang; do
    if command -v $cc >/dev/null 2>&1; then
        check "the header alone as C11 by $cc" "$($cc -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Werror -Iruntime -fsyntax-only "$tmp/alone.c" 2>&1)"
    else
        skip "the header alone as C11 by $cc" "$cc is not installed"
    fi
done
if command -v g++ >/dev/null 2>&1; then
    check "the header alone as C++ by g++" "$(g++ -Wall -Wextra -Wpedantic -Werror -Iruntime -fsyntax-only "$tmp/alone.cpp" 2>&1)"
else
    skip "the header alone as C++ by g++" "g++ is not installed"
fi

printf '%d passed, %d failed, %d skipped\n' $passed $failed $skipped
[ $failed = 0 ] && [ $passed -gt 0 ]
