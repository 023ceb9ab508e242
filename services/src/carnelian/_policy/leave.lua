-- Takes a process out that ends in good order.
-- KEYS: clients, seen. ARGV: client id, channel of acknowledgements.

redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[1])
return redis.status_reply('OK')
