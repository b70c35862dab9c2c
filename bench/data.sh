#!/usr/bin/env bash
# Measures the data layer on generated pairs: start-up time and memory for 3,000, 30,000 and 300,000 pairs, decoded pairs
# per second by number of threads, and the share of training steps that waits for the loader.
#
#     mvn -q package -DskipTests && bench/data.sh [FOLDER]
#
# FOLDER (default: a temporary one) receives 7 GB of generated shards; they are kept if you name it. SIZES and THREADS
# choose other numbers of pairs and threads.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$(mktemp -d)}
[ $# -gt 0 ] || trap 'rm -rf "$folder"' EXIT
classes=${CLASSPATH_OF_BENCH:-$top/target/classes:$top/target/lib/*}
measure() { java -Xmx1g -cp "$classes" "$top/bench/org/contrastive4j/bench/DataStartup.java" "$@" 2>/dev/null; }
for pairs in ${SIZES:-3000 30000 300000}; do
  for kind in shards csv; do
    [ -e "$folder/$kind-$pairs" ] || measure "$folder/$kind-$pairs" "$pairs" "$kind" 1 50000
    for threads in ${THREADS:-1 2}; do
      measure "$folder/$kind-$pairs" "$pairs" "$kind" "$threads" 50000
    done
  done
done
largest=$folder/shards-${pairs}
run=$(mktemp -d)/run
java -Xmx2g -cp "$classes" org.contrastive4j.cli.Main train --data "$largest" --unseen-share 0 --batch 256 --steps 20 \
  --recall-every 0 --device cpu --out "$run" >/dev/null 2>&1
python3 - "$run/metrics.jsonl" <<'END' || tail -3 "$run/metrics.jsonl"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])][5:]
whole = sum(256 / line["pairsPerSecond"] for line in lines)
print("training: %.1f %% of the step time waits for the loader" % (100 * sum(line["dataSeconds"] for line in lines) / whole))
END
