"""What the link must know of commands: which only read, and where their keys are."""

from collections.abc import Sequence

from carnelian._link.api import Arg


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


READ_ONLY = _words(
    """
    BITCOUNT BITFIELD_RO BITPOS COMMAND DBSIZE DUMP ECHO EVALSHA_RO EVAL_RO EXISTS EXPIRETIME FCALL_RO GEODIST
    GEOHASH GEOPOS GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GET GETBIT GETRANGE HEXISTS HEXPIRETIME HGET
    HGETALL HKEYS HLEN HMGET HPEXPIRETIME HPTTL HRANDFIELD HSCAN HSTRLEN HTTL HVALS INFO KEYS LCS LINDEX LLEN
    LOLWUT LPOS LRANGE MGET OBJECT PEXPIRETIME PFCOUNT PING PTTL PUBSUB RANDOMKEY ROLE SCAN SCARD SDIFF SINTER
    SINTERCARD SISMEMBER SMEMBERS SMISMEMBER SORT_RO SRANDMEMBER SSCAN STRLEN SUBSTR SUNION TIME TOUCH TTL
    TYPE XINFO XLEN XPENDING XRANGE XREAD XREVRANGE ZCARD ZCOUNT ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE
    ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK
    ZSCAN ZSCORE ZUNION
    """
)
"""Commands that may be sent twice without harm."""

STATEFUL = _words(
    """
    ASKING AUTH DISCARD EXEC HELLO MONITOR MULTI PSUBSCRIBE PSYNC PUNSUBSCRIBE QUIT READONLY READWRITE REPLCONF RESET
    SELECT SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE SYNC UNSUBSCRIBE UNWATCH WATCH
    """
)
"""Commands that change the connection for whoever uses it next, or whose replies are not one for one."""

KEYLESS = _words(
    """
    ACL CLIENT CLUSTER COMMAND CONFIG DBSIZE ECHO FLUSHALL FLUSHDB FUNCTION INFO KEYS LATENCY LOLWUT PING
    PUBLISH PUBSUB RANDOMKEY ROLE SCAN SCRIPT SLOWLOG TIME WAIT WAITAOF
    """
)
"""Commands that any primary can answer."""

_FIRST_KEY = (
    dict.fromkeys(_words("BITOP OBJECT XGROUP XINFO MEMORY"), 2)
    | dict.fromkeys(_words("LMPOP SINTERCARD ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION"), 2)
    | dict.fromkeys(_words("BLMPOP BZMPOP EVAL EVALSHA EVALSHA_RO EVAL_RO FCALL FCALL_RO"), 3)
)
"""Where the first key is, when it is not the first argument."""

_COUNTED = {"EVAL": 2, "EVALSHA": 2, "EVALSHA_RO": 2, "EVAL_RO": 2, "FCALL": 2, "FCALL_RO": 2}
"""Where the number of keys is, which may be 0."""

_KEY_FIRST = _words(
    """
    APPEND BITCOUNT BITFIELD BITFIELD_RO BITPOS BLMOVE BLPOP BRPOP BRPOPLPUSH BZPOPMAX BZPOPMIN COPY DECR
    DECRBY DEL DELEX DELIFEQ DIGEST DUMP EXISTS EXPIRE EXPIREAT EXPIRETIME GEOADD GEODIST GEOHASH GEOPOS
    GEORADIUS GEOSEARCH GEOSEARCHSTORE GET GETBIT GETDEL GETEX GETRANGE GETSET HDEL HEXISTS HEXPIRE HEXPIREAT
    HEXPIRETIME HGET HGETALL HGETDEL HGETEX HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET HPERSIST HPEXPIRE
    HPEXPIREAT HPEXPIRETIME HPTTL HRANDFIELD HSCAN HSET HSETEX HSETNX HSTRLEN HTTL HVALS INCR INCRBY
    INCRBYFLOAT INCREX LCS LINDEX LINSERT LLEN LMOVE LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MGET MOVE
    MSET MSETNX PERSIST PEXPIRE PEXPIREAT PEXPIRETIME PFADD PFCOUNT PFMERGE PSETEX PTTL RENAME RENAMENX
    RESTORE RPOP RPOPLPUSH RPUSH RPUSHX SADD SCARD SDIFF SDIFFSTORE SET SETBIT SETEX SETNX SETRANGE SINTER
    SINTERSTORE SISMEMBER SMEMBERS SMISMEMBER SMOVE SORT SORT_RO SPOP SPUBLISH SRANDMEMBER SREM SSCAN STRLEN
    SUBSTR SUNION SUNIONSTORE TOUCH TTL TYPE UNLINK XACK XADD XAUTOCLAIM XCLAIM XDEL XLEN XPENDING XRANGE
    XREVRANGE XSETID XTRIM ZADD ZCARD ZCOUNT ZDIFFSTORE ZINCRBY ZINTERSTORE ZLEXCOUNT ZMSCORE ZPOPMAX ZPOPMIN
    ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANGESTORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK
    ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNIONSTORE
    """
)


def name_of(args: Sequence[Arg]) -> str:
    """The command's name in capitals: all of a command that may appear in a message."""
    name = args[0]
    return (name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)).upper()


def check_stateless(args: Sequence[Arg]) -> None:
    """Refuse what would reach other callers: after one reply too few, each would get the answer to another's question.

    Raises:
        ValueError: the command is one of these.
    """
    name = name_of(args)
    if name in STATEFUL or (name == "CLIENT" and len(args) > 1 and name_of(args[1:]) == "REPLY"):
        raise ValueError(
            f"{name} changes the connection, which every caller shares; use a script for a transaction, the URL for "
            "user, password and database"
        )


def may_repeat(name: str) -> bool:
    """Whether the command may be sent again when it may have been carried out."""
    return name in READ_ONLY


def first_key(name: str, args: Sequence[Arg]) -> Arg | None:
    """The key that decides where a command goes; None when any node can answer.

    Raises:
        KeyError: this command is not known here: ask a server.
    """
    if name in _KEY_FIRST:
        return args[1]
    if name in KEYLESS:
        return None
    if name in ("XREAD", "XREADGROUP"):
        return args[_streams(args) + 1]
    if name in _COUNTED and int(args[_COUNTED[name]]) == 0:
        return None
    return args[_FIRST_KEY[name]]


def _streams(args: Sequence[Arg]) -> int:
    return next(index for index, arg in enumerate(args) if arg in ("STREAMS", b"STREAMS", "streams", b"streams"))
