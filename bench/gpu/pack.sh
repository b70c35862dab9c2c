#!/usr/bin/env bash
# Packs everything that run.sh needs into target/gpu-bundle, for a host that has an NVIDIA driver and nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."
limit_mib=60
bundle=target/gpu-bundle
modules=java.base,java.compiler,java.desktop,java.instrument,java.logging,java.management,java.xml,jdk.management,jdk.unsupported,jdk.zipfs

jdk=${JAVA_HOME:-$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")}
[ -x "$jdk/bin/jlink" ] || { echo "pack.sh: no jlink in $jdk; set JAVA_HOME to a JDK 17 or newer" >&2; exit 2; }

rm -rf "$bundle"
mkdir -p "$bundle/src/test/resources"
mvn -q -B -ntp -Pgpu-bundle package

# Not --compress: the archive packs better. gzip and not xz: a bare host has gzip.
"$jdk/bin/jlink" --add-modules "$modules" --strip-debug --no-header-files --no-man-pages --output "$bundle/runtime"
tar -C "$bundle" -cf - runtime | gzip -9 >"$bundle/runtime.tar.gz"
rm -r "$bundle/runtime"

cp -r kernels "$bundle/"
mkdir -p "$bundle/test-data" "$bundle/bench/results"
cp bench/results/*.md "$bundle/bench/results/" # tables that tests hold kernels against
cp --parents bench/org/contrastive4j/bench/device/CostModel.java "$bundle/" # and its constants
cp -r test-data/golden "$bundle/test-data/"
cp bench/gpu/run.sh bench/gpu/*.py bench/gpu/README.md "$bundle/"
if [ -d src/test/resources/ptx ]; then # as files, since tests list folders of them
    cp -r src/test/resources/ptx "$bundle/src/test/resources/"
fi

# Tests outside the packages that run.sh runs as a whole that want a GPU: JUnit reads this as arguments.
{ grep -rl --include='*.java' '@Tag("gpu")' src/test/java || true; } | sed 's|^src/test/java/||; s|\.java$||; s|/|.|g' |
    { grep -vE '^org\.contrastive4j\.(device|internal\.ptx)\.' || true; } | sort | sed 's|^|--select-class=|' >"$bundle/tagged.args"

commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain 2>/dev/null)" ] || commit="$commit with changes"
printf 'commit=%s\npacked=%s\n' "$commit" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$bundle/BUILD"

bytes=$(find "$bundle" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
find "$bundle" -type f -size +256k -printf '%10s  %P\n' | sort -rn
awk -v b="$bytes" -v l="$limit_mib" -v n="$bundle" 'BEGIN {
    printf "%s: %.1f MiB of at most %d\n", n, b / 1048576, l
    if (b > l * 1048576) { print "pack.sh: too big to be sent" > "/dev/stderr"; exit 1 }
}'
