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
quiet_log=$venv/setup.log

say() { printf '%s\n' "$*"; }

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

with_uv() {
  # uv does not read pip's configuration: where only pip can reach packages this fails, and pip takes over.
  if ! venv_is_usable; then
    rm -rf "$venv"
    if [ -n "$PYTHON" ]; then
      "$UV" venv --quiet --python "$PYTHON" "$venv" || return 1
    else
      "$UV" venv --quiet --python '>=3.11,<3.15' "$venv" || return 1
    fi
  fi
  "$UV" pip install --quiet --python "$venv/bin/python" --require-hashes -r "requirements/$level.lock" || return 1
  if [ -z "$NODE" ]; then
    "$UV" pip install --quiet --python "$venv/bin/python" --require-hashes -r requirements/node.lock || return 1
  fi
  "$UV" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable . || return 1
}

with_pip() {
  if ! venv_is_usable || ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    rm -rf "$venv"
    "$PYTHON" -m venv "$venv"
  fi
  pip="$venv/bin/python -m pip --quiet --disable-pip-version-check"
  $pip install --require-hashes -r "requirements/$level.lock"
  if [ -z "$NODE" ]; then
    $pip install --require-hashes -r requirements/node.lock
  fi
  $pip install --no-deps --no-build-isolation --editable .
}

make_environment() {
  say "Installing the packages of requirements/$level.lock into .venv"
  rm -f "$venv"/stamp-*
  if [ -n "$UV" ] && with_uv; then
    :
  elif [ -n "$PYTHON" ]; then
    with_pip
  else
    say "uv could not install the packages, and there is no Python with which to try pip." >&2
    return 1
  fi
  wanted_stamp "$level" >"$venv/stamp-$level"
}

make_assets() {
  say "Building the assets"
  if [ -z "$NODE" ]; then
    PATH="$venv/bin:$PATH"
    export PATH
    NODE=$venv/bin/node
    NPM=$venv/bin/npm
  fi
  # An account without a home of its own still gets its assets.
  if [ ! -w "${HOME:-/nonexistent}" ]; then
    npm_config_cache=$venv/npm-cache
    export npm_config_cache
  fi
  omit=""
  [ "$level" != run ] || omit="--omit=dev"
  # shellcheck disable=SC2086 # empty means no argument
  "$NPM" ci --ignore-scripts --no-audit --no-fund --loglevel=error $omit >"$quiet_log" 2>&1 || {
    cat "$quiet_log" >&2
    say "npm could not fetch the assets (see above)." >&2
    return 1
  }
  "$NODE" tools/build-assets.mjs
  assets_stamp >"$built/.stamp"
}

. tools/machine.sh

if environment_is_ready && assets_are_ready; then
  exit 0
fi
look_at_machine
environment_is_ready || make_environment
assets_are_ready || make_assets
say "Ready: .venv/bin/stoa"
