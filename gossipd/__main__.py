"""`python -m gossipd` is the `gossipd` command."""

from gossipd.process.entry import main

main()
