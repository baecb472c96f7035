"""`python -m stoa.cli`."""

from stoa.cli import main

main()
