-- The entry; where there is none, the right to make it, for a moment.
--
-- KEYS: entry, lock, sizes. ARGV: the one who asks, milliseconds of the right (0: not wanted).
-- Answers the entry or '', whether the right was given, the bytes that the organization's entries take.

local entry = redis.call('GET', KEYS[1])
if entry then
  return {entry, 0, 0}
end
local right = 0
if tonumber(ARGV[2]) > 0 and redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then
  right = 1
end
return {'', right, tonumber(redis.call('HGET', KEYS[3], 'total') or 0)}
