#!/usr/bin/env bash
# Fuzzes every decoder, each for the given number of seconds (60 unless told), or only the targets that are named after it.
# Needs the nightly toolchain and `cargo install cargo-fuzz`. Stops at the first crash; its input is in fuzz/artifacts/.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
targets=("${@:2}")
((${#targets[@]})) || mapfile -t targets < <(cd fuzz/fuzz_targets && printf '%s\n' *.rs | sed 's/\.rs$//')

for target in "${targets[@]}"; do
  echo "== $target, $seconds s"
  # What is found on the way goes to a folder of its own: the committed corpus stays small and chosen.
  found=fuzz/target/corpus/$target
  mkdir -p "$found" "fuzz/corpus/$target"
  log=$(mktemp)
  if ! cargo +nightly fuzz run --fuzz-dir fuzz "$target" "$found" "fuzz/corpus/$target" -- \
    -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "FAILED: $target; its input is in fuzz/artifacts/$target (add it to fuzz/corpus/$target with the fix)"
    exit 1
  fi
  grep -E 'number_of_executed_units|peak_rss_mb' "$log" || true
  rm -f "$log"
done
echo "no crash in ${#targets[@]} targets"
