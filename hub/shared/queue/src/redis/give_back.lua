-- Gives a message back, to be delivered again.
-- ARGV: id, nonce, delay in ms, how many deliveries to forget
-- Answers 1, or 0: the lease was lost.

local id, nonce, delay, uncounted = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if not holds(id, nonce) then return 0 end
redis.call('ZREM', key('leases'), id)
redis.call('HDEL', message_key(id), 'nonce')
if uncounted > 0 then redis.call('HINCRBY', message_key(id), 'attempts', -uncounted) end
if delay > 0 then
  redis.call('ZADD', key('delayed'), now + delay, id)
else
  requeue(id)
end
ring()
return 1
