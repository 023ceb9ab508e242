-- Brings the hash of documents to exactly what is given, in one step, and announces it. Says nothing when it is so.
--
-- KEYS[1]  hash of documents
-- ARGV[1]  channel of changes
-- ARGV[2…] three words a document: its field, and its text before and after the epoch. The epoch is filled in here,
--          so that a document which did not change keeps the one it has. A document without text stays as it is.
-- Returns the epoch and the number of documents that changed or went.

local documents, channel = KEYS[1], ARGV[1]
local held = {}
local pairs_held = redis.call('HGETALL', documents)
for i = 1, #pairs_held, 2 do
    held[pairs_held[i]] = pairs_held[i + 1]
end
-- Applications can write here too; a number beyond 15 digits would not survive Lua's arithmetic.
local old_epoch = tonumber(string.match(held['@epoch'] or '', '^%d+$') or '0')
if old_epoch >= 1e15 then
    old_epoch = 0
end
held['@epoch'] = nil

local function unchanged(text, before, after)
    return text ~= nil
        and #text > #before + #after
        and string.sub(text, 1, #before) == before
        and string.sub(text, -#after) == after
        and string.match(string.sub(text, #before + 1, -#after - 1), '^%d+$') ~= nil
end

local changed, gone = {}, {}
for i = 2, #ARGV, 3 do
    local field, before, after = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if before ~= '' and not unchanged(held[field], before, after) then
        changed[#changed + 1] = { field, before, after }
    end
    held[field] = nil
end
for field in pairs(held) do
    gone[#gone + 1] = field
end

if #changed + #gone == 0 then
    return { string.format('%.0f', old_epoch), 0 }
end

-- Also after lost data an epoch never repeats: the clock has moved on.
local now = redis.call('TIME')
local epoch = string.format('%.0f', math.max(old_epoch + 1, now[1] * 1000 + math.floor(now[2] / 1000)))
for _, document in ipairs(changed) do
    redis.call('HSET', documents, document[1], document[2] .. epoch .. document[3])
end
for _, field in ipairs(gone) do
    redis.call('HDEL', documents, field)
end
redis.call('HSET', documents, '@epoch', epoch)
redis.call('PUBLISH', channel, epoch)
return { epoch, #changed + #gone }
