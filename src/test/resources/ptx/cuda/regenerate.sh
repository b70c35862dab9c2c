#!/bin/sh
# Compiles every program of this folder to PTX; see README.md. NVCC names the compiler.
set -eu
cd "$(dirname "$0")"
for program in ${*:-*.cu}; do
    name=${program%.cu}
    case $name in
        link_*) more=-rdc=true ;;
        *) more= ;;
    esac
    "${NVCC:-nvcc}" -ptx -arch=sm_90 -std=c++17 -O3 -lineinfo $more -o "$name.ptx" "$program"
    # Only the last part of a file's path: where a compiler is installed does not belong here.
    sed -i 's|^\([[:space:]]*\.file[[:space:]].*"\).*/|\1|' "$name.ptx"
done
