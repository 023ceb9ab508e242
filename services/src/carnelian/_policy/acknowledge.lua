-- Says what one process enforces, and that it is alive.
--
-- KEYS     clients, seen, documents
-- ARGV     client id, its acknowledgement (JSON), channel of acknowledgements, milliseconds after which a silent client is gone
-- Returns  the epoch of the documents, or nil when nothing was published
--
-- Announces only what is new, so that heartbeats wake nobody. The first to notice that a client fell silent takes it out.

local clients, seen, documents = KEYS[1], KEYS[2], KEYS[3]
local client, acknowledgement, channel, patience = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local abandoned_after = 86400 -- seconds; with no client left to tidy up, the keys go by themselves

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if redis.call('HGET', clients, client) ~= acknowledgement then
  redis.call('HSET', clients, client, acknowledgement)
  redis.call('PUBLISH', channel, client)
end
redis.call('ZADD', seen, string.format('%.0f', now), client)
redis.call('EXPIRE', clients, abandoned_after)
redis.call('EXPIRE', seen, abandoned_after)

local oldest = string.format('%.0f', now - patience)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', oldest, 'LIMIT', 0, 32)) do
  redis.call('ZREM', seen, gone)
  redis.call('HDEL', clients, gone)
  redis.call('PUBLISH', channel, gone)
end
return redis.call('HGET', documents, '@epoch')
