#!/usr/bin/env bash
# Shows that the simulator finds what it is there to find. Each `*.patch` here breaks a production crate on purpose; it is
# applied to a copy of the tree, and the scenarios of `scenarios/` run until one of them fails. First they run on the copy as
# it is, which must be clean.
#
#   simulations/mutations/run.sh [NAME ...]      all mutants, or these; prints a table in Markdown
#
# Ends with 0 if every mutant was caught, with 1 if one survived, with 2 if one does not apply or build, or if the tree is
# not clean. What is copied is the last commit; patches and scenarios are taken as they lie here. MUTANTS_ROUNDS says under
# how many seeds each scenario runs at most (4), MUTANTS_SECONDS how long that may take (400), MUTANTS_TARGET where it is built.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(git -C "$here" rev-parse --show-toplevel)
rounds=${MUTANTS_ROUNDS:-4}
seconds=${MUTANTS_SECONDS:-400}
export CARGO_TARGET_DIR=${MUTANTS_TARGET:-$root/target/mutants}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir "$tree"
# As of now, or what was built of another copy would pass for newer.
git -C "$root" archive HEAD | tar -xm -C "$tree"

say() { printf '%s\n' "$*" >&2; }

build() {
    (cd "$tree" && cargo build --quiet --locked --release --config "$here/cargo.toml" -p reknit-sim --example catch) \
        >"$work/build" 2>&1 || { cat "$work/build" >&2; return 1; }
}

# Prints what came of all scenarios, or of the one of that name: `clean`, or `caught by RULE in SCENARIO seed N`.
hunt() {
    local status=0
    timeout "$seconds" "$CARGO_TARGET_DIR/release/examples/catch" "$here/scenarios" "$rounds" "$@" \
        >"$work/verdict" 2>"$work/story" || status=$?
    case $status in
        0 | 1) cat "$work/verdict" ;;
        124) echo "caught by no-end in $(tail -n 1 "$work/story" | cut -d' ' -f1) seed -" ;;
        *) cat "$work/story" >&2; return 1 ;;
    esac
}

# The first line of a patch: NAME (AREA): WHAT IT BREAKS. The second: the scenario that is tried before all of them.
about() { head -n 1 "$1" | sed 's/^[^(]*(\([^)]*\)): */\1 | /'; }

if [ $# -gt 0 ]; then
    patches=("${@/#/$here/}")
    patches=("${patches[@]/%/.patch}")
else
    patches=("$here"/*.patch)
    say "the tree as it is ..."
    build || exit 2
    verdict=$(hunt)
    [ "$verdict" = clean ] || { cat "$work/story" >&2; say "not clean: $verdict"; exit 2; }
fi

survived=0 failed=0
echo '| Mutant | Area | What it breaks | Caught by the rule | in | after |'
echo '| --- | --- | --- | --- | --- | --- |'
for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    if ! (cd "$tree" && patch -s -p1 --no-backup-if-mismatch <"$patch") >&2; then
        say "$name does not apply"
        exit 2
    fi
    if build; then
        began=$(date +%s)
        verdict=$(hunt "$(sed -n 's/^first tried in: //p' "$patch")") || exit 2
        [ "$verdict" != clean ] || verdict=$(hunt) || exit 2
        took=$(($(date +%s) - began))
        read -r _ _ rule _ scenario _ seed <<<"$verdict"
        if [ "$verdict" = clean ]; then
            survived=$((survived + 1)) rule='**SURVIVED**' scenario='' seed=''
        fi
        say "$name: $verdict after $took s"
        echo "| \`$name\` | $(about "$patch") | ${rule} | ${scenario:+$scenario, seed $seed} | $took s |"
    else
        say "$name does not build"
        failed=$((failed + 1))
    fi
    (cd "$tree" && patch -s -p1 -R --no-backup-if-mismatch <"$patch")
done
say "${#patches[@]} mutants, $survived survived, $failed did not build"
[ "$failed" = 0 ] || exit 2
[ "$survived" = 0 ]
