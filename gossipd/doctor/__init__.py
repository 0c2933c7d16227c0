"""Finding out what is wrong with a node and its network: `gossipd doctor`.

What is seen (`asking` over UDP, `looking` at this host, `visiting` one address, by UDP and TCP) is
data; what follows from it (`judging`, `judging_host`) is a function of that data alone, so that each
cause can be tested without a network. Nothing here changes anything anywhere: questions are few,
none is answered with more bytes than it has, or three times as many, and no node takes anybody in.
"""
