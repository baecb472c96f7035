#!/bin/sh
# Makes .venv with the stoa command in it, and builds the assets. Quick when nothing has changed.
#   sh tools/setup.sh run     what running Stoa needs
#   sh tools/setup.sh dev     also what its checks and tests need
#   sh tools/setup.sh bench   also the software it is measured against
# Packages come from wherever pip (or uv) and npm are configured to find them; every one is checked against the hash in its lock.
set -eu

level=${1:-run}
case "$level" in
  run | dev | bench) ;;
  *) echo "usage: sh tools/setup.sh run|dev|bench" >&2; exit 2 ;;
esac

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
venv=$root/.venv
built=src/stoa/web/assets/built
log=$(mktemp)
child=""
trap 'rm -f "$log"' EXIT
# A child in the background does not hear Ctrl-C; it is ended by hand.
trap 'kill $child 2>/dev/null; exit 130' INT TERM

say() { printf '%s\n' "$*"; }

# draw LABEL DONE TOTAL SECONDS: one line that overwrites itself.
draw() {
  [ "$2" -le "$3" ] || set -- "$1" "$3" "$3" "$4"
  filled=$(printf '%*s' $((24 * $2 / $3)) '' | tr ' ' '#')
  printf '\r%-22s [%-24s] %3d s ' "$1" "$filled" "$4"
}

# shown LABEL TOTAL PATTERN COMMAND...: runs a command; on a terminal a bar counts the lines of its output that match. What it said is shown
# when it fails, and only then: pip warns of much that is none of the reader's business.
shown() {
  label=$1 total=$2 pattern=$3
  shift 3
  began=$(date +%s)
  "$@" >"$log" 2>&1 </dev/null &
  child=$!
  if [ -t 1 ]; then
    while kill -0 "$child" 2>/dev/null; do
      draw "$label" "$(grep -cE "$pattern" "$log" || :)" "$total" $(($(date +%s) - began))
      sleep 0.3 2>/dev/null || sleep 1
    done
  else
    say "$label"
  fi
  status=0
  wait "$child" || status=$?
  child=""
  if [ "$status" = 0 ]; then
    [ ! -t 1 ] || { draw "$label" "$total" "$total" $(($(date +%s) - began)); echo; }
  else
    [ ! -t 1 ] || echo
    cat "$log" >&2
  fi
  return "$status"
}

digest() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# The stamp of a level names everything the level was made from; the folder too, for an environment that was moved does not work.
wanted_stamp() {
  {
    echo "$root"
    cat "requirements/$1.lock" requirements/node.lock pyproject.toml tools/setup.sh tools/machine.sh
  } | digest
}

assets_stamp() {
  cat package.json package-lock.json tools/build-assets.mjs src/stoa/web/assets/*.* | digest
}

# A peer that is no Python package: SCIMMY on express.
scimmy=bench/peers/scimmy
scimmy_stamp() {
  cat "$scimmy/package.json" "$scimmy/package-lock.json" | digest
}

peers_are_ready() {
  [ "$level" != bench ] || holds_stamp "$scimmy/node_modules/.stamp" "$(scimmy_stamp)"
}

holds_stamp() {
  [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]
}

# A larger level contains the smaller ones.
environment_is_ready() {
  [ -x "$venv/bin/stoa" ] && "$venv/bin/python" -c '' 2>/dev/null || return 1
  case "$level" in
    run) levels="run dev bench" ;;
    dev) levels="dev bench" ;;
    *) levels="bench" ;;
  esac
  for ready in $levels; do
    holds_stamp "$venv/stamp-$ready" "$(wanted_stamp "$ready")" && return 0
  done
  return 1
}

assets_are_ready() {
  [ -f "$built/manifest.json" ] && holds_stamp "$built/.stamp" "$(assets_stamp)" || return 1
  [ "$level" = run ] || [ -d node_modules/axe-core ]
}

# An environment whose Python is gone, or was made in another folder, is made anew.
venv_is_usable() {
  [ -x "$venv/bin/python" ] && [ "$("$venv/bin/python" -c 'import sys; print(sys.prefix)' 2>/dev/null)" = "$venv" ]
}

# What either installer is given; node.lock only where the machine has no Node of its own.
locks() {
  printf '%s\n' "-r requirements/$level.lock"
  [ -n "$NODE" ] || printf '%s\n' "-r requirements/node.lock"
}

with_uv() {
  # uv does not read pip's configuration: where only pip can reach packages this fails, and pip takes over.
  if ! venv_is_usable; then
    rm -rf "$venv"
    "$UV" venv --quiet --python "${PYTHON:->=3.11,<3.15}" "$venv" || return 1
  fi
  # shellcheck disable=SC2046 # words are wanted
  shown "Packages (uv)" 1 '^Installed' "$UV" pip install --python "$venv/bin/python" --require-hashes $(locks) || return 1
  shown "Stoa itself" 1 '^Installed' "$UV" pip install --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
}

with_pip() {
  if ! venv_is_usable || ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    rm -rf "$venv"
    "$PYTHON" -m venv "$venv" || return 1
  fi
  packages=$(cat requirements/"$level".lock requirements/node.lock | grep -c '^[a-z].*==')
  # pip names each package as it fetches it, and is silent while it unpacks them all: about a fifth of the time.
  # shellcheck disable=SC2046 # words are wanted
  shown "Packages" $((packages * 5 / 4)) '^(Collecting|Processing|Requirement already)' \
    "$venv/bin/python" -m pip --disable-pip-version-check install --require-hashes $(locks) || return 1
  shown "Stoa itself" 3 '^(Obtaining|Building|Successfully)' \
    "$venv/bin/python" -m pip --disable-pip-version-check install --no-deps --no-build-isolation --editable .
}

make_environment() {
  rm -f "$venv"/stamp-*
  if [ -n "$UV" ] && with_uv; then
    :
  elif [ -n "$PYTHON" ]; then
    with_pip || return 1
  else
    say "uv could not install the packages, and there is no Python with which to try pip." >&2
    return 1
  fi
  wanted_stamp "$level" >"$venv/stamp-$level"
}

look_at_npm() {
  if [ -z "$NODE" ]; then
    # The npm from PyPI looks for the machine's settings in a folder of its own; those of an npm that is here already are meant.
    npm_config_globalconfig=$(npm config get globalconfig 2>/dev/null) || npm_config_globalconfig=/etc/npmrc
    export npm_config_globalconfig
    PATH="$venv/bin:$PATH"
    export PATH
    NODE=$venv/bin/node
    NPM=$venv/bin/npm
  fi
  # Node trusts whom the machine trusts, as pip does: a company's own certificate authority included.
  NODE_USE_SYSTEM_CA=1
  export NODE_USE_SYSTEM_CA
  # An account without a home of its own still gets its assets.
  if [ ! -w "${HOME:-/nonexistent}" ]; then
    npm_config_cache=$venv/npm-cache
    export npm_config_cache
  fi
}

make_peers() {
  look_at_npm
  shown "Peers" 1 '^added' "$NPM" ci --ignore-scripts --no-audit --no-fund --prefix "$scimmy" || {
    say "npm could not fetch what Stoa is measured against (see above)." >&2
    return 1
  }
  scimmy_stamp >"$scimmy/node_modules/.stamp"
}

make_assets() {
  look_at_npm
  omit=""
  [ "$level" != run ] || omit="--omit=dev"
  # shellcheck disable=SC2086 # empty means no argument
  shown "Assets" 1 '^added' "$NPM" ci --ignore-scripts --no-audit --no-fund $omit || {
    say "npm could not fetch the assets (see above)." >&2
    return 1
  }
  "$NODE" tools/build-assets.mjs || return 1
  assets_stamp >"$built/.stamp"
}

. tools/machine.sh

if environment_is_ready && assets_are_ready && peers_are_ready; then
  exit 0
fi
look_at_machine
if ! environment_is_ready; then
  make_environment || exit 1
fi
if ! assets_are_ready; then
  make_assets || exit 1
fi
if ! peers_are_ready; then
  make_peers || exit 1
fi
say "Ready: .venv/bin/stoa"
