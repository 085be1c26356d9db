-- Gives back the right to make an entry. KEYS: lock. ARGV: the one who has it.

if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
