#!/usr/bin/env bash
# Runs device report, tests and benchmarks of the folder that pack.sh made. Needs an NVIDIA driver, bash, coreutils, sed, grep, find, tar, gzip.
#   run.sh [--rehearse] [--steps LIST] [RESULTS]     RESULTS: a folder; $OUT or ./results when not given
# LIST: steps or groups, separated by commas; race (times,gemm,peers,ncu,sanitizer: the usual), tests (device-tests,tagged-tests,benchmarks), all.
# --rehearse runs the steps on the simulator instead of a GPU, at small sizes. All together end within TOTAL_SECONDS (570): a step is stopped
# (status 124) at its own limit or at that of all.
# Exits with 0 when every step passed, 1 when one failed, 2 when called wrongly, 3 when there is no GPU.
set -uo pipefail
start=$PWD
cd "$(dirname "$0")" || exit 2
bundle=$PWD
device=cuda
require=(-Drequire=cuda)
chosen=race
while [[ ${1:-} = -* ]]; do
    case $1 in
        --rehearse) device=sim require=(); shift ;;
        --steps) chosen=${2:-}; shift $(($# > 1 ? 2 : 1)) ;;
        *) chosen=; break ;;
    esac
done
chosen=,$chosen,
chosen=${chosen//,all,/,race,tests,}
chosen=${chosen//,race,/,times,gemm,peers,ncu,sanitizer,}
chosen=${chosen//,tests,/,device-tests,tagged-tests,benchmarks,}
wrong=$(printf '%s' "$chosen" | tr ',' '\n' | grep -vxE 'times|gemm|peers|ncu|sanitizer|device-tests|tagged-tests|benchmarks|')
if [ $# -gt 1 ] || [ "$chosen" = ,, ] || [ -n "$wrong" ]; then
    echo "usage: run.sh [--rehearse] [--steps LIST] [RESULTS]; LIST of times gemm peers ncu sanitizer device-tests tagged-tests benchmarks, or race, tests, all" >&2
    exit 2
fi
selected() { [[ $chosen = *,$1,* ]]; }
results=${1:-${OUT:-results}}
[ "${results#/}" != "$results" ] || results=$start/$results
[ -f "$bundle/runtime.tar.gz" ] && [ -f "$bundle/BUILD" ] || {
    echo "run.sh: $bundle is not a packed folder; run bench/gpu/pack.sh and start target/gpu-bundle/run.sh" >&2; exit 2; }
mkdir -p "$results" || exit 2
kept=(summary.json device.txt times.json gemm.json peers.json benchmarks.json) # files that stay as they are, see pack_details
details=(device-tests.{txt,xml} tagged-tests.{txt,xml} benchmarks.txt times.txt measured-{bf16,f16}.csv model.txt gemm.txt peers.{txt,json.part}
    ncu-{bf16,bf16-portable,gemm}.{txt,csv} sanitizer-{loss,gemm}.txt)
(cd "$results" && rm -f "${kept[@]}" "${details[@]}" details.tar.gz.[0-9]) # of an earlier run

work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
tar -C "$work" -xzf runtime.tar.gz || { echo "run.sh: the Java runtime could not be unpacked" >&2; exit 2; }
mkdir "$work/tmp" "$work/native"

# Containers mount the driver where the loader may not look.
for folder in /usr/local/nvidia/lib64 /usr/lib/wsl/lib; do
    [ ! -e "$folder/libcuda.so.1" ] || export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
done
PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin:/usr/local/nvidia/bin
export PATH LC_ALL=C.UTF-8

cublas=none
cublas_note=
# Of the steps of a race, so that each has its time: together 530, and 40 to begin with.
times_seconds=215 gemm_seconds=45 peers_seconds=110 ncu_seconds=110 sanitizer_seconds=50
# limit SECONDS: that, or what is left of the step, where step_end is set, or of all
limit() {
    local left=$((${TOTAL_SECONDS:-570} - SECONDS))
    [ -z "${step_end:-}" ] || [ $((step_end - SECONDS)) -ge $left ] || left=$((step_end - SECONDS))
    [ $left -gt 0 ] || left=1
    echo $((left < $1 ? left : $1))
}

longest=$([ $device = cuda ] && echo 900 || echo 3600) # a rehearsal runs beside other work
step_seconds=$longest
java_command=("$work/runtime/bin/java" --enable-native-access=ALL-UNNAMED \
        -Djava.io.tmpdir="$work/tmp" -Dorg.bytedeco.javacpp.cachedir="$work/tmp" -Djava.library.path="$work/native" \
        -Ddevice="$device" "${require[@]}" -cp "src/test/resources:lib/*")
java() {
    timeout -k 10 "$(limit $step_seconds)" "${java_command[@]}" -Dcublas="$cublas" "$@"
}

steps=()
failed=0
# record NAME STATUS SECONDS NOTE
record() {
    local result=ok note=$4
    [ "$2" -eq 0 ] || { result=failed; failed=1; }
    [ "$2" -ne 124 ] || note="stopped at its limit; $note"
    steps+=("{\"name\": \"$1\", \"result\": \"$result\", \"status\": $2, \"seconds\": $3, \"note\": \"$(text "$note")\"}")
    printf '%-14s %-6s %5d s  %s\n' "$1" "$result" "$3" "$note"
}

# Text that may stand in a JSON string.
text() { printf '%s' "$1" | tr -d '"\\' | tr '\n\t\r' '   '; }

summary() {
    local IFS=,
    cat >"$results/summary.json" <<END
{"commit": "$commit", "packed": "$packed", "date": "$(date -u +%Y-%m-%dT%H:%M:%SZ)", "device": "$device",
 "gpu": "$(text "$gpu")", "driver": "$(text "$driver")", "cublas": "$(text "$cublas_note")", "ok": $([ $failed -eq 0 ] && echo true || echo false),
 "steps": [
  ${steps[*]/%/$'\n'} ]}
END
    pack_details
    echo "results are in $results"
}

# Whoever carries the results back may take 8 files of 16 MiB: where there are more than 8, all but the kept ones go into one archive, in pieces
# when it is large: cat details.tar.gz.* | tar -xzf -
pack_details() {
    local found=() name
    for name in "${details[@]}"; do
        [ ! -e "$results/$name" ] || found+=("$name")
    done
    [ ${#found[@]} -gt 0 ] && [ "$(find "$results" -type f | wc -l)" -gt 8 ] || return 0
    tar -C "$results" -czf - "${found[@]}" | split -b 15m -a 1 -d - "$results/details.tar.gz." && (cd "$results" && rm -f "${found[@]}")
}

report() {
    echo "commit $commit, packed $packed"
    date -u
    uname -srm
    if [ $device = cuda ]; then
        if command -v nvidia-smi >/dev/null; then nvidia-smi 2>&1; else echo "no nvidia-smi on this host"; fi
    fi
    java org.contrastive4j.support.DeviceReport $device 2>&1
    local status=$?
    java org.contrastive4j.cli.Main devices 2>&1 || [ $status -ne 0 ] || status=1
    return $status
}

find_cublas() {
    { ldconfig -p 2>/dev/null | sed -n "s|.*=> \(.*/libcublas\.so\.$1\)\$|\1|p"
        local IFS=:
        for folder in ${LD_LIBRARY_PATH:-}; do ls "$folder/libcublas.so.$1" 2>/dev/null; done
        find /usr /opt -name "libcublas.so.$1" 2>/dev/null; } | head -n 1
}

choose_cublas() {
    local found
    found=$(find_cublas 12)
    if [ -n "$found" ]; then
        cublas=12
        cublas_note="libcublas.so.12 at $found, which JCublas 12.6 was made for"
    else
        found=$(find_cublas 13)
        if [ -z "$found" ]; then
            cublas_note="neither libcublas.so.12 nor libcublas.so.13 on this host: cuBLAS is not tested"
            return 0
        fi
        java org.contrastive4j.support.CublasPatch "$work/native" "$found" 2>&1 || {
            cublas_note="only $found, and JCublas 12.6 cannot be made to load it"
            return 1
        }
        cublas=13
        cublas_note="only $found: JCublas 12.6 runs through a private copy of its native library that asks for libcublas.so.13"
    fi
    export LD_LIBRARY_PATH="$(dirname "$found")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

# tests NAME SELECTION...: log and JUnit's XML under that name
tests() {
    local name=$1 status begin=$SECONDS
    shift
    java org.junit.platform.console.ConsoleLauncher execute --disable-banner --disable-ansi-colors \
        --details=testfeed --config=junit.jupiter.extensions.autodetection.enabled=true --fail-if-no-tests \
        --reports-dir="$work/reports" "$@" >"$results/$name.txt" 2>&1
    status=$?
    cp "$work/reports/TEST-junit-jupiter.xml" "$results/$name.xml" 2>/dev/null
    rm -rf "$work/reports"
    record "$name" $status $((SECONDS - begin)) \
        "$(sed -n 's/^\[ *\([0-9]* tests \(successful\|failed\|aborted\)\) *\]$/\1/p' "$results/$name.txt" | paste -sd, | sed 's/,/, /g')"
}

benchmarks() {
    local small=() begin=$SECONDS status note
    [ $device = cuda ] || small=(-f 1 -wi 0 -i 1 -r 1 -p bytes=65536)
    java org.openjdk.jmh.Main 'org\.contrastive4j\.bench\.device' -e SimulatorBenchmark -p device=$device -rf json -rff "$results/benchmarks.json" \
        -foe false "${small[@]}" >"$results/benchmarks.txt" 2>&1
    status=$?
    note="$(grep -c '"primaryMetric"' "$results/benchmarks.json" 2>/dev/null) measured"
    if grep -q '<failure>\|<forked VM failed' "$results/benchmarks.txt"; then # JMH goes on and exits with 0
        [ $status -ne 0 ] || status=1
        note="$note; $(grep -m 1 'Exception: ' "$results/benchmarks.txt")"
    fi
    record benchmarks $status $((SECONDS - begin)) "$note"
}

state() { nvidia-smi --query-gpu=timestamp,clocks.sm,clocks.mem,power.draw,temperature.gpu,memory.used --format=csv 2>/dev/null; }

small_race=(sizes=33,130 widths=40 wideSizes=150 matrix=256 caseSeconds=0.1 repeats=2 flushBytes=65536 late=100 largest=256 block=128 largestWidth=40
    seconds=1000) # nothing is left out for want of time
times() {
    local small=() begin=$SECONDS status note
    [ $device = cuda ] || small=("${small_race[@]}")
    step_seconds=$times_seconds
    state >"$results/times.txt"
    java org.contrastive4j.bench.device.PairwiseTimes device=$device out="$results" seconds=$(($(limit $((times_seconds - 25))) - 5)) "${small[@]}" \
        >>"$results/times.txt" 2>&1
    status=$?
    state >>"$results/times.txt"
    if [ -s "$results/measured-bf16.csv" ]; then
        java org.contrastive4j.bench.device.CostModel "$results/measured-bf16.csv" >"$results/model.txt" 2>&1
    fi
    step_seconds=$longest
    note="$(grep -c '"milliseconds"' "$results/times.json" 2>/dev/null) timed, $(grep -c '"\(skipped\|stopped\)"' "$results/times.json" 2>/dev/null) left out"
    ! grep -q '"timesMeanSomething" : false' "$results/times.json" 2>/dev/null || note="$note on the simulator, which says nothing of a GPU"
    [ $status -eq 0 ] || note="$note; $(tail -n 1 "$results/times.txt")"
    record times $status $((SECONDS - begin)) "$note"
}

small_peers=(--device cpu --sizes 33,130 --widths 64 --wide-sizes 150 --matrix 16 --limit-seconds 120 --compile-seconds 200 --case-seconds 0.02)
peers() {
    local begin=$SECONDS status
    if ! command -v python3 >/dev/null; then
        record peers 0 0 "nothing measured: no python3 on this host"
        return
    fi
    local small=() at_most=$(limit $peers_seconds) seconds=$(($(limit $((peers_seconds - 10))) - 10))
    if [ $device = sim ]; then
        if ! python3 -c 'import ast, sys; [ast.parse(open(name).read()) for name in sys.argv[1:]]' ./*.py >"$results/peers.txt" 2>&1; then
            record peers 1 $((SECONDS - begin)) "$(tail -n 1 "$results/peers.txt")"
            return
        fi
        small=("${small_peers[@]}") at_most=$(limit 600) seconds=500
    fi
    timeout -k 10 "$at_most" python3 -B peers.py --out "$results/peers.json" --seconds "$seconds" "${small[@]}" \
        >"$results/peers.txt" 2>&1
    status=$?
    record peers $status $((SECONDS - begin)) "$(tail -n 1 "$results/peers.txt")"
}

small_gemm=(products=nn:70:90:100,tn:40:300:600 repeats=1)
gemm() {
    local small=() begin=$SECONDS status note
    [ $device = cuda ] || small=("${small_gemm[@]}" seconds=1000)
    step_seconds=$gemm_seconds
    [ $device = cuda ] || step_seconds=300
    java org.contrastive4j.bench.device.GemmTimes device=$device out="$results" seconds=30 "${small[@]}" >"$results/gemm.txt" 2>&1
    status=$?
    step_seconds=$longest
    note="$(grep -c '"ownMilliseconds"' "$results/gemm.json" 2>/dev/null) timed"
    [ $status -eq 0 ] || note="$note; $(tail -n 1 "$results/gemm.txt")"
    record gemm $status $((SECONDS - begin)) "$note"
}

# One evaluation of a case and nothing else: NAME SIZE WIDTH; gemm is a product.
once() {
    if [ "$1" = gemm ]; then
        echo org.contrastive4j.bench.device.GemmTimes device=cuda "out=$work" repeats=1 "products=nn:$2:$2:$3"
    else
        echo org.contrastive4j.bench.device.PairwiseTimes device=cuda "out=$work" once=true sizes="$2" widths="$3" kinds="$1"
    fi
}

# What the profiler counts in each kernel; clocks stay as they are.
ncu_facts() {
    local begin=$SECONDS status=0 kind size arguments
    if [ $device = sim ] || ! command -v ncu >/dev/null; then
        record ncu 0 0 "nothing profiled: $([ $device = sim ] && echo rehearsal || echo no ncu on this host)"
        return
    fi
    local step_end=$((SECONDS + ncu_seconds))
    for kind in bf16 gemm bf16-portable; do
        size=$([ $kind = bf16 ] && echo 32768 || echo 8192)
        read -ra arguments < <(once $kind $size 512)
        timeout -k 10 "$(limit 40)" ncu --clock-control none --target-processes all --set detailed -f -o "$work/$kind" "${java_command[@]}" \
            "${arguments[@]}" >"$results/ncu-$kind.txt" 2>&1 || status=$?
        if [ -e "$work/$kind.ncu-rep" ]; then
            timeout "$(limit 20)" ncu --import "$work/$kind.ncu-rep" --page details >>"$results/ncu-$kind.txt" 2>&1
            timeout "$(limit 20)" ncu --import "$work/$kind.ncu-rep" --page raw --csv >"$results/ncu-$kind.csv" 2>/dev/null
        fi
    done
    record ncu $status $((SECONDS - begin)) "$(cat "$results"/ncu-*.txt | grep -c 'Section: GPU Speed Of Light') kernels profiled"
}

# Ragged cases under the checkers of compute-sanitizer. Its race check does not follow bulk copies and warp-group products: the simulator's does.
sanitizer() {
    local begin=$SECONDS status=0 what tool kind arguments
    if [ $device = sim ] || ! command -v compute-sanitizer >/dev/null; then
        record sanitizer 0 0 "nothing checked: $([ $device = sim ] && echo rehearsal || echo no compute-sanitizer on this host)"
        return
    fi
    local step_end=$((SECONDS + sanitizer_seconds))
    for tool in memcheck synccheck; do
        for what in loss gemm; do
            kind=$([ $what = loss ] && echo bf16,f16-portable,tf32 || echo gemm)
            read -ra arguments < <(once $kind 333 100)
            echo "== $tool" >>"$results/sanitizer-$what.txt"
            timeout -k 10 "$(limit 15)" compute-sanitizer --tool $tool --target-processes all --error-exitcode 9 "${java_command[@]}" "${arguments[@]}" \
                >>"$results/sanitizer-$what.txt" 2>&1 || status=$?
        done
    done
    record sanitizer $status $((SECONDS - begin)) "$(cat "$results"/sanitizer-*.txt | grep 'ERROR SUMMARY' | sort | uniq -c | tr -s ' ' | paste -sd';')"
}

commit=$(sed -n 's/^commit=//p' BUILD)
packed=$(sed -n 's/^packed=//p' BUILD)

begin=$SECONDS
report >"$results/device.txt"
status=$?
gpu=$(sed -n 's/^name: //p' "$results/device.txt" | head -n 1)
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)
if [ $status -eq 3 ]; then
    problem=$(sed -n 's/^none: //p' "$results/device.txt")
    record device 3 $((SECONDS - begin)) "$problem"
    if [ $device = cuda ]; then
        summary
        echo "run.sh: nothing was tested, since there is no GPU to test on: $problem" >&2
        exit 3
    fi
else
    record device $status $((SECONDS - begin)) "$gpu"
fi

begin=$SECONDS
choose_cublas >>"$results/device.txt"
record cublas $? $((SECONDS - begin)) "$cublas_note"
echo "$cublas_note" >>"$results/device.txt"

! selected times || times
! selected gemm || gemm
! selected peers || peers
! selected ncu || ncu_facts
! selected sanitizer || sanitizer
[ $device = sim ] || step_seconds=320 # so that what follows has time
! selected device-tests || tests device-tests --select-package=org.contrastive4j.device --select-package=org.contrastive4j.internal.ptx
[ $device = sim ] || step_seconds=130
if selected tagged-tests; then
    if [ -s tagged.args ]; then
        tests tagged-tests --include-tag=gpu @tagged.args
    else
        record tagged-tests 0 0 "no test outside org.contrastive4j.device carries the tag gpu"
    fi
fi
step_seconds=$longest
! selected benchmarks || benchmarks
summary
exit $failed
