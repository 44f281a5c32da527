"""`python -m mezzo.cli`: how one mezzo process starts another with the same interpreter."""

from .main import main

main()
