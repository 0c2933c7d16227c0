"""One increment after the other, each on a connection of its own, until a file is there: prints
how many were answered, then what went wrong.

    knocking.py PORT FILE
"""

from __future__ import annotations

import http.client
import sys
import time
from pathlib import Path

PAUSE = 0.04
"""Seconds before the next one: who is restarted needs the machine's time."""


def main() -> None:
    port, end = int(sys.argv[1]), Path(sys.argv[2])
    answered, troubles = 0, list[str]()
    while not end.exists() and len(troubles) < 10:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("POST", "/increment?counter=knocks")
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            troubles.append(repr(error))
            continue
        finally:
            connection.close()
        if status == 200:
            answered += 1
        else:
            troubles.append(str(status))
        time.sleep(PAUSE)
    print(answered, *troubles)


if __name__ == "__main__":
    main()
