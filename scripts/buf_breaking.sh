#!/usr/bin/env bash
# Fails if protos/ has a breaking change. Compares the working tree with the first of these that exists:
#   1. the last release: the highest v* tag in this history;
#   2. the commit at which this branch left main;
#   3. the previous commit, on main itself, where 2 would compare a commit with itself.
# Without a base that has protos (a first commit, a shallow clone, no git) it succeeds.
set -euo pipefail
cd "$(dirname "$0")/.."

find_base() {
  local tag main fork
  tag=$(git for-each-ref --count=1 --sort=-v:refname --merged=HEAD --format='%(refname)' 'refs/tags/v*')
  if [ -n "$tag" ]; then echo "$tag"; return; fi
  for main in main origin/main; do
    fork=$(git merge-base "$main" HEAD 2>/dev/null) || continue
    if [ "$fork" != "$(git rev-parse HEAD)" ]; then echo "$fork"; return; fi
  done
  git rev-parse --verify --quiet 'HEAD~1^{commit}' || true
}

if ! git rev-parse --verify --quiet HEAD >/dev/null; then
  echo "buf breaking: no commit to compare with"
  exit 0
fi
base=$(find_base)
if [ -z "$base" ] || ! git ls-tree -r --name-only "$base" -- protos | grep '\.proto$' >/dev/null; then
  echo "buf breaking: ${base:-the history at hand} holds no protos to compare with"
  exit 0
fi

# Use a plain folder as base: buf's git input needs a branch or tag, and a full clone.
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
git archive "$base" protos | tar -x -C "$before"
echo "buf breaking: against $base"
buf breaking protos --against "$before/protos"
