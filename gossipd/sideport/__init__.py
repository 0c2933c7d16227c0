"""The TCP side port: HTTP for programs, text lines for netcat and RESP for clients of Redis, told
apart on one port.

`operations` is the one table of what can be asked, with `validation` as its arguments. From it
follow the calls of `http` (`http_head` is how a request begins, `http_answers` what is answered)
and the commands of `text`, two thin dialects; `resp` has a table of its own, whose increments are
the same row. What all share is `pipeline` (order of answers), `memo` (what came before is not
parsed again), `connection` (back pressure, deadlines, closing), `presence` (whether a client is
still there) and `answered` (how many requests there were); `access` says who may do what, `origin`
which web pages may ask, and `limits` names every bound. `port` listens (`listening`), gives
connections their `places`, and has `tls` in front of them if there is a certificate. `watching`
has all who follow what changes and the `rings` of it, `watch` what one of them is told, over HTTP
as `sse` and in text as lines. `page` is what a browser gets for `/`. Of the rest of gossipd only
`service`, the rights of tokens and the core's words are imported here.
"""
