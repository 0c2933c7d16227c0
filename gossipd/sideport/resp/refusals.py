"""What Redis can do and a counter cannot, in words that say why."""

from __future__ import annotations

from collections.abc import Sequence

from gossipd.sideport.resp.reading import Words

_TRANSACTIONS = "there are no transactions: send the commands in a pipeline without MULTI"
_SET = "a counter cannot be set, it is only added to: INCR, INCRBY, DECR, DECRBY"
_KEPT = "counters cannot be deleted, renamed or reset, and do not expire"
_WHOLE = "counters count whole numbers: INCRBY, DECRBY"
_OTHER = "there are only counters here, no strings, lists, sets, hashes or streams"
_MESSAGES = "nothing is published here, there are only counters"
_SCRIPTS = "there are no scripts and modules"
_CLUSTER = "this is no Redis cluster: every node has all counters"
_REPLICAS = "nodes replicate by gossip: they join with gossipd run --join"
_SERVER = "this is not Redis: use gossipd status, gossipd data, gossipd leave"
_TRACKING = "what changes is not reported to clients"

REASONS = {
    name: reason
    for reason, names in {
        _TRANSACTIONS: "MULTI EXEC DISCARD WATCH UNWATCH",
        _SET: "SET SETNX SETEX PSETEX MSET MSETNX GETSET GETDEL GETEX APPEND SETRANGE SETBIT BITOP"
        " BITFIELD PFADD PFMERGE RESTORE COPY",
        _KEPT: "DEL UNLINK EXPIRE PEXPIRE EXPIREAT PEXPIREAT EXPIRETIME PEXPIRETIME PERSIST TTL"
        " PTTL RENAME RENAMENX MOVE FLUSHALL FLUSHDB SWAPDB MIGRATE",
        _WHOLE: "INCRBYFLOAT HINCRBY HINCRBYFLOAT ZINCRBY",
        _OTHER: "STRLEN GETRANGE SUBSTR GETBIT BITCOUNT BITPOS BITFIELD_RO LCS LPUSH RPUSH LPUSHX"
        " RPUSHX LPOP RPOP BLPOP BRPOP LLEN LRANGE LINDEX LSET LINSERT LREM LTRIM LPOS LMOVE LMPOP"
        " BLMOVE BLMPOP RPOPLPUSH BRPOPLPUSH SADD SREM SMEMBERS SISMEMBER SMISMEMBER SCARD SPOP"
        " SRANDMEMBER SMOVE SINTER SINTERCARD SINTERSTORE SUNION SUNIONSTORE SDIFF SDIFFSTORE"
        " SSCAN HSET HSETNX HMSET HGET HMGET HGETALL HDEL HLEN HEXISTS HKEYS HVALS HSTRLEN"
        " HRANDFIELD HSCAN ZADD ZREM ZSCORE ZMSCORE ZCARD ZCOUNT ZRANGE ZRANGEBYSCORE ZREVRANGE"
        " ZREVRANGEBYSCORE ZRANGEBYLEX ZREVRANGEBYLEX ZLEXCOUNT ZRANK ZREVRANK ZPOPMIN ZPOPMAX"
        " BZPOPMIN BZPOPMAX ZMPOP BZMPOP ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREMRANGEBYLEX ZUNION"
        " ZUNIONSTORE ZINTER ZINTERCARD ZINTERSTORE ZDIFF ZDIFFSTORE ZRANGESTORE ZRANDMEMBER ZSCAN"
        " XADD XLEN XRANGE XREVRANGE XREAD XREADGROUP XGROUP XACK XCLAIM XAUTOCLAIM XDEL XTRIM"
        " XPENDING XINFO XSETID GEOADD GEOPOS GEODIST GEOHASH GEORADIUS GEORADIUSBYMEMBER"
        " GEOSEARCH GEOSEARCHSTORE PFCOUNT SORT SORT_RO DUMP OBJECT TOUCH RANDOMKEY",
        _MESSAGES: "SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE PUBLISH"
        " SPUBLISH PUBSUB MONITOR",
        _SCRIPTS: "EVAL EVAL_RO EVALSHA EVALSHA_RO SCRIPT FUNCTION FCALL FCALL_RO MODULE",
        _CLUSTER: "CLUSTER ASKING READONLY READWRITE",
        _REPLICAS: "REPLICAOF SLAVEOF SYNC PSYNC REPLCONF FAILOVER ROLE WAITAOF",
        _SERVER: "SHUTDOWN SAVE BGSAVE BGREWRITEAOF LASTSAVE DEBUG SLOWLOG LATENCY MEMORY ACL TIME"
        " LOLWUT",
    }.items()
    for name in names.split()
}
"""By name: commands of Redis that are not supported, and why."""

CLIENT_REASONS = {
    **dict.fromkeys(("TRACKING", "TRACKINGINFO", "CACHING", "GETREDIR"), _TRACKING),
    "REPLY": "every command is answered here",
    "MAINT_NOTIFICATIONS": _TRACKING,
}

_SHOWN_MAX = 128
"""Bytes of a command's name that are shown, and of all that it was given, as in Redis."""


def unsupported(name: str, reason: str) -> str:
    return f"no '{name.lower()}' here: {reason}"


def unknown(words: Words) -> str:
    """In the words of Redis."""
    shown: list[str] = []
    left = _SHOWN_MAX
    for word in words[1:]:
        if left <= 0:
            break
        shown.append(f"'{printable(word[:left])}' ")
        left -= len(shown[-1])
    return f"unknown command '{printable(words[0][:_SHOWN_MAX])}', with args beginning with: " + (
        "".join(shown)
    )


def wrong_number(name: str) -> str:
    """In the words of Redis."""
    return f"wrong number of arguments for '{name}' command"


def unknown_part(words: Words, parts: Sequence[str]) -> str:
    """Of a command that has commands of its own."""
    command = words[0].decode().upper()
    return (
        f"unknown subcommand '{printable(words[1][:_SHOWN_MAX])}'; "
        f"{command} has {', '.join(parts)}"
    )


def printable(word: bytes) -> str:
    return "".join(char if char.isprintable() else "?" for char in word.decode(errors="replace"))
