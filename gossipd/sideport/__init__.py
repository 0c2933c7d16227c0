"""The TCP side port: HTTP for programs and text lines for netcat, told apart on one port.

`backend` says what the port needs from the daemon, `commands` is the one set of commands, with
`values` as its rules and `outcomes` as its ends, `http` and `text` are two thin dialects over it,
`connection` holds what both share (order of answers, back pressure, deadlines, closing) and
`port` listens. Nothing else of gossipd is imported here.
"""
