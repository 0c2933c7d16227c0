"""The Redis protocol (RESP 2 and 3), as one more dialect of the side port.

`dialect` turns bytes into commands: `reading` splits them, `commands` is the table of what they
ask for, `answers` tells it. What counts is the row of increments in `sideport.operations`.
"""
