-- Admits one request or none of it: every counter is looked at before the first is changed.
--
-- KEYS: two per check, the counter and its slots (the same key twice where there are none).
-- ARGV: request id, seconds that a slot lives, then per check: kind, limit, amount, seed.
--   window: a minute of one-second buckets in a hash; `t` is their sum, `p` the last pruned second.
--   slots:  `counter` is what was settled (at least the seed), `slots` what is reserved, by expiry.
-- Answers {1, now, used…} when all fit, {0, now, index of the first that does not, used, wait in ms}.

local clock = redis.call('TIME')
local now = tonumber(clock[1])
local millis = now * 1000 + math.floor(tonumber(clock[2]) / 1000)
local request, ttl = ARGV[1], tonumber(ARGV[2])
local WINDOW = 60

local function pruned(key)
  local total, last = unpack(redis.call('HMGET', key, 't', 'p'))
  total = tonumber(total or '0')
  if tonumber(last or '0') == now then return total end
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local second = tonumber(fields[i])
    if second and second <= now - WINDOW then
      total = total - tonumber(fields[i + 1])
      redis.call('HDEL', key, fields[i])
    end
  end
  if #fields > 0 then redis.call('HSET', key, 't', total, 'p', now) end
  return total
end

local function wait_for(key, excess)
  local fields, seconds = redis.call('HGETALL', key), {}
  for i = 1, #fields, 2 do
    local second = tonumber(fields[i])
    if second then seconds[#seconds + 1] = {second, tonumber(fields[i + 1])} end
  end
  table.sort(seconds, function(a, b) return a[1] < b[1] end)
  for _, bucket in ipairs(seconds) do
    excess = excess - bucket[2]
    if excess <= 0 then return (bucket[1] + WINDOW) * 1000 - millis end
  end
  return WINDOW * 1000
end

local function held(counter, slots, seed)
  local gone = redis.call('ZRANGEBYSCORE', slots, '-inf', millis)
  local reserved = tonumber(redis.call('GET', slots .. ':sum') or '0')
  for _, member in ipairs(gone) do
    reserved = reserved - tonumber(string.match(member, ':(%d+)$'))
  end
  if #gone > 0 then
    redis.call('ZREMRANGEBYSCORE', slots, '-inf', millis)
    redis.call('SET', slots .. ':sum', string.format('%d', reserved), 'EX', ttl * 4)
  end
  local settled = tonumber(redis.call('GET', counter) or '0')
  return math.max(settled, seed) + reserved
end

local uses = {}
for place = 1, #KEYS / 2 do
  local at = 3 + (place - 1) * 4
  local kind, limit, amount, seed = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local counter, slots = KEYS[place * 2 - 1], KEYS[place * 2]
  local used
  if kind == 'window' then used = pruned(counter) else used = held(counter, slots, seed) end
  if used + amount > limit then
    local wait = 0
    if kind == 'window' and amount <= limit then wait = wait_for(counter, used + amount - limit) end
    return {0, now, place, used, wait}
  end
  uses[place] = used
end

local answer = {1, now}
for place = 1, #KEYS / 2 do
  local at = 3 + (place - 1) * 4
  local kind, amount, seed = ARGV[at], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local counter, slots = KEYS[place * 2 - 1], KEYS[place * 2]
  if kind == 'window' then
    redis.call('HINCRBY', counter, now, amount)
    redis.call('HINCRBY', counter, 't', amount)
    redis.call('HSET', counter, 'p', now)
    redis.call('EXPIRE', counter, WINDOW * 2)
  else
    if tonumber(redis.call('GET', counter) or '0') < seed then
      redis.call('SET', counter, string.format('%d', seed), 'EX', 3456000)
    end
    redis.call('ZADD', slots, millis + ttl * 1000, request .. ':' .. string.format('%d', amount))
    redis.call('EXPIRE', slots, ttl * 4)
    redis.call('INCRBY', slots .. ':sum', string.format('%d', amount))
    redis.call('EXPIRE', slots .. ':sum', ttl * 4)
  end
  answer[place + 2] = uses[place] + amount
end
return answer
