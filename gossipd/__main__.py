"""`python -m gossipd` is the `gossipd` command."""

from gossipd.entry import main

main()
