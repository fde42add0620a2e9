-- Gives a message back, to be delivered again.
-- ARGV: id, nonce, name of this call, delay in ms, how many deliveries to forget
-- Answers 1, or 0: the lease was lost.

local id, nonce, call = ARGV[1], ARGV[2], ARGV[3]
local delay, uncounted = tonumber(ARGV[4]), tonumber(ARGV[5])
if not holds(id, nonce) then return was_done(call) end
redis.call('ZREM', key('leases'), id)
redis.call('HDEL', message_key(id), 'nonce')
if uncounted > 0 then redis.call('HINCRBY', message_key(id), 'attempts', -uncounted) end
if delay > 0 then
  redis.call('ZADD', key('delayed'), now + delay, id)
else
  requeue(id)
end
ring()
return done(call)
