# Sourced by tests/run and tools/quickstart: what the build and the tests need, found or installed.
#
# A row is: the Debian and Ubuntu package, then how to see that it is there without asking the package manager.
# setup_packages GROUP... returns 0 when all rows of the groups are there (now).  It installs by apt as root or with
# sudo that asks no password; otherwise it prints the line to run and returns 1.

setup_rows_build='
gcc                  command cc gcc
make                 command make
cmake                command cmake
pkg-config           command pkg-config
libc6-dev            header math.h
libprotobuf-c-dev    header protobuf-c/protobuf-c.h
protobuf-c-compiler  command protoc-c
libstb-dev           header stb/stb_image.h
libjpeg-dev          header jpeglib.h
libjansson-dev       header jansson.h
'
setup_rows_test='
binutils             command nm strip
clang                command clang
clang-format         command clang-format
xz-utils             command xz
git                  command git
'

setup_has() { # command|header NAME...: is each there?
    local kind=$1 name
    shift
    for name; do
        case $kind in
        command) command -v "$name" >/dev/null 2>&1 || return 1 ;;
        header)
            [ -e "/usr/include/$name" ] || [ -e "/usr/local/include/$name" ] ||
                compgen -G "/usr/include/*-linux-gnu*/$name" >/dev/null || return 1
            ;;
        esac
    done
}

setup_packages() {
    local group rows package kind names missing=()
    for group; do
        rows=setup_rows_$group
        while read -r package kind names; do
            # shellcheck disable=SC2086
            [ -z "$package" ] || setup_has "$kind" $names || missing+=("$package")
        done <<<"${!rows}"
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    local sudo=()
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "missing: ${missing[*]} (names of the Debian packages); this system has no apt-get to install them with" >&2
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
            sudo=(sudo -n)
        else
            echo "missing packages; run this, then start again:" >&2
            echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
            return 1
        fi
    fi
    echo "installing: ${missing[*]}"
    "${sudo[@]}" apt-get update -qq </dev/null &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            "${missing[@]}" </dev/null >/dev/null || {
        echo "apt-get could not install: ${missing[*]}" >&2
        return 1
    }
}

setup_jobs() { # how many compilers at once
    nproc 2>/dev/null || echo 2
}
