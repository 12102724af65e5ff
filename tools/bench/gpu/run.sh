#!/usr/bin/env bash
# The evidence on a GPU: first is everything right, then what does it cost. tools/bench/gpu/all makes this folder.
#   ./run.sh [PART…]      parts: kernels sanitize parity curves | offset tricks steps; all of them without arguments
# The first four are checks and run side by side; if one fails, nothing is timed. Tables go to standard output, whole logs to $OUT or here.
cd "$(dirname "${BASH_SOURCE[0]}")"
export OUT="${OUT:-$PWD}" PYTHONUNBUFFERED=1 LD_LIBRARY_PATH="$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export TORCHINDUCTOR_CACHE_DIR="${TORCHINDUCTOR_CACHE_DIR:-/tmp/inductor}"
gpu=tools/bench/gpu
[ $# -gt 0 ] || set -- kernels sanitize parity curves offset tricks steps
wanted() { case " $parts " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
parts="$*"
need_logs() { [ -f logs/short-log.txt ] || { echo "$1: not run, there are no logs of the records' programs (tools/bench/gpu/all --logs DIR)"; return 1; }; }

kernels() { # Every kernel case against float64.
  local failed=0
  for folder in kernels head; do
    timeout 150 python3 $gpu/run_kernels.py $folder check >"$OUT/$folder.txt" 2>&1 || failed=1
    echo "$folder: $(grep -c '^ok' "$OUT/$folder.txt") right, $(grep -c '^FAIL' "$OUT/$folder.txt") wrong; $(tail -1 "$OUT/$folder.txt")"
    grep '^FAIL' "$OUT/$folder.txt"
  done
  return $failed
}
sanitize() { $gpu/sanitize "${SANITIZE_SECONDS:-150}"; }
parity() { # Loss and gradients of the whole models.
  local failed=0
  printf '%-28s %9s %9s  %s\n' model loss gradients "worst tensor"
  for record in short medium; do # Reduced, f32: the oracle's own bounds, 20 steps too.
    timeout -s KILL 60 ./smelt-parity $record-reduced small/$record-f32.smelt test/oracle/data/$record-{weights,gradients,final}.safetensors --device cuda 2>&1 | tail -1 || failed=1
    [ "${PIPESTATUS[0]}" = 0 ] || failed=1
  done
  if need_logs "parity at full width"; then
    for record in ${PARITY_RECORDS:-short medium}; do
      timeout 150 python3 $gpu/pytorch_step.py $record logs/$record-log.txt check --dump /tmp/dump-$record >"$OUT/dump-$record.txt" 2>&1 || failed=1
      grep -E "against|Error" "$OUT/dump-$record.txt" | cut -c1-230
      timeout -s KILL 60 ./smelt-parity $record-2048 $record-2048.smelt /tmp/dump-$record/{weights,gradients}.safetensors --spec --device cuda \
        --tolerance 0.05 --verbose >"$OUT/parity-$record.txt" 2>&1 || failed=1
      tail -1 "$OUT/parity-$record.txt"
      rm -rf /tmp/dump-$record
    done
  fi
  return $failed
}
curves() { # 200 steps on text: two runs with the same bits, and PyTorch's curve within PyTorch's noise.
  local failed=0 run="timeout 100 ./smelt-run train curves.smelt --data train.bin --validation-data validation.bin --validate-every 0 --plain"
  need_logs curves || return 0
  local train="timeout 150 python3 $gpu/pytorch_train.py logs/short-log.txt"
  rm -rf /tmp/curves; mkdir -p /tmp/curves
  $train weights /tmp/curves/weights.safetensors >"$OUT/curves.txt" 2>&1 || { tail -3 "$OUT/curves.txt"; return 1; }
  ($train train /tmp/curves/weights.safetensors train.bin validation.bin "$OUT/pytorch.json") >>"$OUT/curves.txt" 2>&1 &
  ($train train /tmp/curves/weights.safetensors train.bin validation.bin "$OUT/pytorch-again.json") >>"$OUT/curves.txt" 2>&1 &
  (DISABLE_FP8=1 $train train /tmp/curves/weights.safetensors train.bin validation.bin "$OUT/pytorch-bf16-head.json") >>"$OUT/curves.txt" 2>&1 &
  for i in 1 2; do $run --init /tmp/curves/weights.safetensors --run-dir /tmp/curves/run$i >"$OUT/smelt-run$i.txt" 2>&1 || failed=1; done
  local hashes; hashes="$(grep -h ^final_hash "$OUT"/smelt-run[12].txt)" # Of all parameters and states.
  if [ $failed = 0 ] && [ "$(wc -l <<<"$hashes")" = 2 ] && [ "$(sort -u <<<"$hashes" | wc -l)" = 1 ]; then
    echo "two runs of 200 steps: the same bits in all parameters and states (${hashes:11:16}...)"
  else
    echo "two runs of 200 steps: DIFFER or failed: $hashes"; tail -n 2 "$OUT/smelt-run1.txt"; failed=1
  fi
  wait
  grep -E "json: |Error" "$OUT/curves.txt"
  cp /tmp/curves/run1/log.jsonl "$OUT/smelt-curve.jsonl" 2>/dev/null
  python3 $gpu/compare_curves.py /tmp/curves/run1 "$OUT"/pytorch{,-again,-bf16-head}.json || failed=1
  return $failed
}
offset() { timeout 100 python3 $gpu/alternate.py offset . --rounds "${OFFSET_ROUNDS:-300}" --turn "${OFFSET_STEPS:-1}"; }
tricks() { timeout 120 python3 $gpu/alternate.py tricks . --rounds "${TRICKS_ROUNDS:-40}" ${TRICKS_OPTIONS:-}; }
steps() { timeout "${STEPS_SECONDS:-500}" python3 $gpu/alternate.py steps . $([ -d logs ] && echo --logs logs) ${STEPS_OPTIONS:-}; }

failed=""
checks=""
for part in kernels sanitize parity curves; do
  wanted $part || continue
  ($part >"$OUT/part-$part.txt" 2>&1; echo $? >"$OUT/part-$part.code") &
  checks="$checks $part"
done
wait
for part in $checks; do
  echo "== $part"; cat "$OUT/part-$part.txt"
  [ "$(cat "$OUT/part-$part.code")" = 0 ] || failed="$failed $part"
  rm -f "$OUT/part-$part.code" "$OUT/part-$part.txt"
done
for part in offset tricks steps; do
  wanted $part || continue
  echo "== $part"
  [ -z "$failed" ] || [ -n "${ANYWAY:-}" ] || { echo "not timed: failed:$failed"; continue; }
  $part || failed="$failed $part"
done
[ -z "$failed" ] && echo "all right: $parts" || echo "FAILED:$failed"
[ -z "$failed" ]
