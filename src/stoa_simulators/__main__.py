"""`python -m stoa_simulators`."""

from stoa_simulators.cli import main

main()
