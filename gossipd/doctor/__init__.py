"""Finding out what is wrong with a node and its network: `gossipd doctor`.

What is seen is data: `asking` over UDP, `looking` at this host, `visiting` one address. What
follows from it (`judging`, `judging_way`, `judging_host`) is a function of that data alone.
Nothing here changes anything anywhere: questions are few, no answer is longer than three times its
question, and no node takes anybody in.
"""
