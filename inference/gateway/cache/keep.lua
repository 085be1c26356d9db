-- Keeps an entry within the organization's bytes: what would end soonest goes first. Gives back the right.
--
-- KEYS: entry, lock, sizes, index. ARGV: the one who keeps, name, prefix of entries, entry, milliseconds,
-- most bytes. `sizes` maps names to bytes, and 'total' to their sum; `index` sorts names by their end.
-- Answers the bytes that are taken now.

local me, name, prefix, entry = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lasts_ms, most = tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

if redis.call('GET', KEYS[2]) == me then
  redis.call('DEL', KEYS[2])
end

local function drop(one)
  local size = tonumber(redis.call('HGET', KEYS[3], one) or 0)
  redis.call('UNLINK', prefix .. one)
  redis.call('HDEL', KEYS[3], one)
  redis.call('ZREM', KEYS[4], one)
  return redis.call('HINCRBY', KEYS[3], 'total', -size)
end

for _, one in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, 200)) do
  drop(one)
end
local total = drop(name)
-- What the store itself needs for an entry, besides its bytes.
local size = #entry + 300
if size > most then
  return total
end
while total + size > most do
  local first = redis.call('ZRANGE', KEYS[4], 0, 0)[1]
  if not first then
    total = 0
    redis.call('HSET', KEYS[3], 'total', 0)
    break
  end
  total = drop(first)
end
redis.call('SET', KEYS[1], entry, 'PX', lasts_ms)
redis.call('HSET', KEYS[3], name, size)
redis.call('ZADD', KEYS[4], now + lasts_ms, name)
redis.call('PEXPIRE', KEYS[3], lasts_ms)
redis.call('PEXPIRE', KEYS[4], lasts_ms)
return redis.call('HINCRBY', KEYS[3], 'total', size)
