-- Puts what was really used in the place of what was reserved, once.
--
-- KEYS as in admit.lua. ARGV: request id, the second of the admission, then per check: kind, reserved, real.

local request, admitted_at = ARGV[1], tonumber(ARGV[2])
local now = tonumber(redis.call('TIME')[1])

for place = 1, #KEYS / 2 do
  local at = 3 + (place - 1) * 3
  local kind, reserved, real = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local counter, slots = KEYS[place * 2 - 1], KEYS[place * 2]
  if kind == 'window' then
    -- A bucket that has left the window was taken off the sum with all it held.
    if real ~= reserved and redis.call('HEXISTS', counter, admitted_at) == 1 then
      redis.call('HINCRBY', counter, admitted_at, real - reserved)
      redis.call('HINCRBY', counter, 't', real - reserved)
    end
  else
    if redis.call('ZREM', slots, request .. ':' .. string.format('%d', reserved)) == 1 then
      redis.call('DECRBY', slots .. ':sum', string.format('%d', reserved))
    end
    if real > 0 then
      redis.call('INCRBY', counter, string.format('%d', real))
      redis.call('EXPIRE', counter, 3456000)
    end
  end
end
return now
