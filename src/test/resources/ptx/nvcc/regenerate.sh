#!/bin/sh
# Compiles every program of this folder to PTX; see README.md. NVCC names the compiler.
set -eu
cd "$(dirname "$0")"
for program in *.cu; do
    name=${program%.cu}
    case $name in
        cluster | halves | transpose) arch=sm_90 ;;
        *) arch=sm_80 ;;
    esac
    "${NVCC:-nvcc}" -ptx -arch=$arch -O3 -lineinfo -o "$name.ptx" "$program"
    # Only the last part of a file's path: where a compiler is installed does not belong here.
    sed -i 's|^\([[:space:]]*\.file[[:space:]].*"\).*/|\1|' "$name.ptx"
done
