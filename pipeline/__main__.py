"""`python -m pipeline` is `cauce`."""

from pipeline.cli.main import main

main()
