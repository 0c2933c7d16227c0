"""Many clients at once, to see how fast nodes are: what `gossipd bench` does until it prints.

It measures and knows neither the command line nor the node; each dialect is an encoder and a
reader of answers. It is made so that the node is the limit: one event loop, requests that are
ready before they are needed, and of answers only what tells that they are there and no refusals.
"""
